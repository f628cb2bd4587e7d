// PayPal: RSA-SHA256 over `id|time|webhook id|CRC32 of the body`, by a key in the certificate that a header names.
import { crc32 } from 'node:zlib';
import type { Provider, SampleDraft, Scheme, SecretSpec } from '../provider.ts';
import { generateKeyPair } from '../public-key-secrets.ts';
import {
  type ApiAnswer,
  type ApiRequest,
  bearer,
  listAt,
  type PageRequest,
  type RecoverSpec,
  textAt,
} from '../recover.ts';
import { certificateKeys } from '../schemes/certificates.ts';
import { pinnedKey, withKey } from '../schemes/key-source.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { type PublicKeySpec, parsePublicKey, publicKey, publicKeyAlgorithm } from '../schemes/public-key.ts';
import { verifySigned } from '../schemes/signed-template.ts';
import { computed, header, json, timestamp } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { randomId } from './sample.ts';

const key = { format: 'spki' } as const;
const certificateUrlPattern =
  /^https:\/\/api(?:-m)?\.(sandbox\.)?paypal\.com\/v1\/notifications\/certs\/CERT-[A-Za-z0-9-]{1,100}$/;
const signatureAlgorithm = 'SHA256withRSA';
const sampleCertificate = 'https://api.sandbox.paypal.com/v1/notifications/certs/CERT-postbell-send';

const spec: PublicKeySpec = {
  kind: 'rsa-sha256',
  key,
  message: [
    header('paypal-transmission-id'),
    '|',
    timestamp,
    '|',
    computed(({ source }) => webhookIdOf(source.secrets[0] ?? '')),
    '|',
    computed(({ delivery }) => String(crc32(delivery.body))),
  ],
  signature: { at: header('paypal-transmission-sig'), encoding: 'base64' },
  // Retries last 3 days. The time is "the time of the HTTP transmission"; whether a retry has a new time is not documented.
  timestamp: { at: header('paypal-transmission-time'), unit: 'iso', pastSeconds: 3 * 86_400 + 3_600 },
  signs: { body: true },
};

const secret: SecretSpec = {
  label: 'Webhook ID',
  format:
    'letters and digits (no secret: the webhook whose events are accepted); for trials followed by ; and a public key',
  where: 'developer.paypal.com → Apps & Credentials → your app → Webhooks → Webhook ID',
  check(text) {
    if (text.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
    if (!/^[A-Za-z0-9]{10,50}$/.test(webhookIdOf(text)))
      return 'is no webhook ID; use the form 8PT597110X687430LKGECATA';
    if (text.includes(';') && !pinnedOf(text)) return 'has no public key after the ;';
    return undefined;
  },
  generate() {
    const pair = generateKeyPair('rsa-sha256', key);
    return { ...pair, secret: `${randomId('TRIAL').slice(0, 17).toUpperCase()};${pair.secret}` };
  },
};

const eventsPath = '/v1/notifications/webhooks-events';

const recover: RecoverSpec = {
  key: '<client id>:<secret> of your REST app with Webhooks',
  url: 'https://api-m.paypal.com',
  wants: {
    setting: 'ENDPOINT',
    example: 'the id of your webhook, as in PAYPAL_WEBHOOK_SECRET',
    pattern: /^\w+$/,
    onlyToSendAgain: true,
  },
  // The key buys a token, which ends after some hours.
  token: {
    request: (pair) => ({
      path: '/v1/oauth2/token',
      headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
      form: 'grant_type=client_credentials',
    }),
    read: (answer) => textAt(answer, 'access_token'),
  },
  authorize: bearer,
  redeliver: {
    endpoint: `GET ${eventsPath}, POST …/{id}/resend`,
    page: pageOfEvents,
    read: readEventList,
    delivery: (item) => {
      const id = textAt(item, 'id');
      return id === undefined ? undefined : { id, eventIds: [id] };
    },
    sentAt: (item) => textAt(item, 'create_time'),
    again: (id, wanted) => ({
      method: 'POST',
      path: `${eventsPath}/${encodeURIComponent(id)}/resend`,
      body: { webhook_ids: [wanted] },
    }),
  },
  pull: { endpoint: `GET ${eventsPath}`, page: pageOfEvents, read: readEventList },
  lost: 'nothing that PayPal still lists; how long it does is not documented',
};

function pageOfEvents({ since, until, cursor }: PageRequest): ApiRequest {
  // The cursor is the path and query of the next page's link.
  if (cursor !== undefined) return { path: cursor };
  return {
    path: eventsPath,
    query: { page_size: '100', start_time: withoutMs(since), end_time: withoutMs(until) },
  };
}

function withoutMs(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** PayPal's links name another of its hosts than it was asked by. So only their path and query are used. */
function readEventList({ json: answer }: ApiAnswer): { items: unknown; next: string | undefined } {
  const links = listAt(answer, 'links');
  const next = Array.isArray(links) ? links.find((link) => textAt(link, 'rel') === 'next') : undefined;
  const url = URL.parse(textAt(next, 'href') ?? '');
  return { items: listAt(answer, 'events'), next: url ? url.pathname + url.search : undefined };
}

export const paypal: Provider = {
  name: 'paypal',
  title: 'PayPal',
  docsUrl: 'https://developer.paypal.com/api/rest/webhooks/rest/',
  facts:
    "List of events, their create_time, resend and token D: paypal/paypal-rest-api-specifications, notifications_webhooks_v1. Headers and retries D: the page above and its reference. Signed text, certificate hosts and the signer's name D/T: that page's message verification as several public implementations quote it, and PayPal's archived Java SDK. Event id D: its reference; that a retry keeps it M. That transmission time is of the HTTP transmission D: the same. Only a CRC32 of the body is signed: anybody who saw one delivery could make another body to its signature while its time is accepted. So a transmission is good for one event, and a second one counts as a replay; PayPal's own verify call would ask with each delivery, which a receiver in a hurry must not.",
  scheme: perSecret({ scheme: byCertificate(publicKey(spec)) }),
  secret,
  // Only a CRC32 of the body is signed, and anybody can make a body with that CRC32. So a transmission proves one event.
  idIsSigned: false,
  events: {
    id: json('id'),
    signedToken: header('paypal-transmission-id'),
    topic: json('event_type'),
    occurredAt: { at: json('create_time'), unit: 'iso' },
  },
  headers: ['paypal-transmission-id', 'paypal-transmission-time'],
  retries: 'Wants a 2xx; tries again up to 25 times over 3 days. Mock events of the simulator do not verify.',
  sending: {
    newId: () => randomId('WH-').toUpperCase(),
    headers: () => ({
      'paypal-transmission-id': crypto.randomUUID(),
      'paypal-cert-url': sampleCertificate,
      'paypal-auth-algo': signatureAlgorithm,
    }),
  },
  answers: { failure: { 404: 'retried', '5xx': 'retried' } },
  recover,
  redelivery:
    'by API (POST /v1/notifications/webhooks-events/{id}/resend) or in the Webhooks Events dashboard',
  samples: {
    'PAYMENT.CAPTURE.COMPLETED': (draft) =>
      event(draft, 'capture', { status: 'COMPLETED', amount: { currency_code: 'USD', value: '20.00' } }),
    'CHECKOUT.ORDER.APPROVED': (draft) =>
      event(draft, 'checkout-order', { status: 'APPROVED', intent: 'CAPTURE' }),
    'BILLING.SUBSCRIPTION.CANCELLED': (draft) => event(draft, 'subscription', { status: 'CANCELLED' }),
    '*': (draft) => event(draft, 'capture', {}),
  },
};

/** Uses the key after the ID where present; otherwise the key of the certificate, from PayPal's hosts only. */
function byCertificate(pinned: Scheme): Scheme {
  const algorithm = publicKeyAlgorithm(spec);
  return {
    ...pinned,
    summary: `${pinned.summary}, key from a certificate of api.paypal.com`,
    prepare(source) {
      const own = pinnedOf(source.secrets[0] ?? '');
      const keys = own ? pinnedKey(own) : certificateKeys({ signersOf }, source);
      return (delivery) => {
        const reading = startReading(delivery, source);
        const name = readPart(header('paypal-auth-algo'), reading);
        if (typeof name !== 'string') return name;
        if (name !== signatureAlgorithm)
          return {
            ok: false,
            reason: 'malformed_signature',
            detail: `paypal-auth-algo is not ${signatureAlgorithm}`,
          };
        const url = readPart(header('paypal-cert-url'), reading);
        if (typeof url !== 'string') return url;
        if (!certificateUrlPattern.test(url))
          return {
            ok: false,
            reason: 'malformed_signature',
            detail: 'paypal-cert-url is not an address of PayPal',
          };
        return withKey(keys.find(url, delivery.receivedAt, delivery.body.length), (found) =>
          verifySigned(spec, algorithm, [found], reading),
        );
      };
    },
  };
}

function signersOf(url: string): readonly string[] {
  const match = certificateUrlPattern.exec(url);
  return match ? [`messageverificationcerts.${match[1] ?? ''}paypal.com`] : [];
}

function webhookIdOf(text: string): string {
  return text.split(';', 1)[0] ?? '';
}

function pinnedOf(text: string) {
  const at = text.indexOf(';');
  return at < 0 ? undefined : parsePublicKey(text.slice(at + 1), 'rsa-sha256', key);
}

function event({ topic, id, now }: SampleDraft, resourceType: string, resource: object): object {
  return {
    id,
    event_version: '1.0',
    create_time: now.toISOString(),
    resource_type: resourceType,
    event_type: topic,
    summary: `${topic} for a trial`,
    resource: { id: randomId().slice(0, 17).toUpperCase(), ...resource },
  };
}
