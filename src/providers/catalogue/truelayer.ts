// TrueLayer: a detached JWS (ES512) over method, path, the headers it lists and the body.
import type { KeyObject } from 'node:crypto';
import type {
  Delivery,
  Provider,
  Rejection,
  SampleDraft,
  Scheme,
  SecretSpec,
  Source,
  Verdict,
} from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { checkAge, formatTimestamp, freshnessOf, type TimestampSpec } from '../schemes/freshness.ts';
import { malformedToken, readToken } from '../schemes/jwt.ts';
import { type KeySource, noKey, pinnedKey, withKey } from '../schemes/key-source.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { parsePublicKey, privateKeyOf } from '../schemes/public-key.ts';
import { remoteKeys } from '../schemes/remote-keys.ts';
import { encodeJson, isSigned, signToken } from '../schemes/token.ts';
import { firstOf, header, json, type Reading } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { randomId } from './sample.ts';

const key = { kind: 'ecdsa-p521', key: { format: 'spki' } } as const;
const signatureHeader = 'tl-signature';
const timeHeader = 'X-Tl-Webhook-Timestamp';
const maxSignedHeaders = 20;
/** The pinned addresses of keys: a token's `jku` must equal the address of the source. */
const keysUrls: Readonly<Record<string, string>> = {
  published: 'https://webhooks.truelayer.com/.well-known/jwks',
  'published-sandbox': 'https://webhooks.truelayer-sandbox.com/.well-known/jwks',
};
// Retries last 72 h. The time is the time of sending; whether each attempt has a new time is not documented.
const timestamp: TimestampSpec = { at: header(timeHeader), unit: 'iso', pastSeconds: 73 * 3600 };

const pinned = publicKeySecret({
  ...key,
  label: 'Which keys sign',
  where: 'nothing to copy: the word published, or published-sandbox for the sandbox',
});

const secret: SecretSpec = {
  ...pinned,
  format: 'published or published-sandbox (keys are fetched), or one public key (SPKI or PEM) to pin',
  check: (text) => (jwksOf(text) === undefined ? pinned.check(text) : undefined),
};

export const truelayer: Provider = {
  name: 'truelayer',
  title: 'TrueLayer',
  docsUrl: 'https://docs.truelayer.com/docs/verify-the-signature-of-a-payment-webhook',
  facts:
    "Token and signed text L: npm truelayer-signing. Addresses of the keys D: TrueLayer's example servers. Retries for 72 h, event_id, and the time as that of sending D: docs.truelayer.com, payment webhooks and Payouts API.",
  scheme: perSecret({ scheme: detachedToken() }),
  secret,
  idIsSigned: true,
  events: { id: json('event_id'), topic: firstOf(json('type'), json('event_type')) },
  headers: ['x-tl-webhook-timestamp'],
  retries: 'Wants a 2xx; tries again with growing gaps for up to 72 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    payment_executed: (draft) => event(draft, { payment_id: randomId() }),
    payment_failed: (draft) => event(draft, { payment_id: randomId(), failure_reason: 'rejected' }),
    '*': (draft) => event(draft, {}),
  },
};

function detachedToken(): Scheme {
  return {
    summary: 'detached JWS ES512 over method, path, headers and body in tl-signature',
    proofHeaders: [signatureHeader],
    readsHeaders: ['x-tl-*'],
    proofParams: [],
    signsBody: true,
    // Signs only the path of the URL.
    signsUrl: false,
    freshness: freshnessOf(timestamp),
    prepare(source) {
      const [text = ''] = source.secrets;
      const jku = jwksOf(text);
      const keys = keysOf(text, jku, source);
      return (delivery): Verdict | Promise<Verdict> => {
        const reading = startReading(delivery, source);
        const token = readToken({ at: header(signatureHeader) }, reading);
        if ('ok' in token) return token;
        const { head, parts } = token;
        if (head.alg !== 'ES512' || head.tl_version !== '2' || parts[1] !== '')
          return malformedToken('no detached token of version 2 by ES512');
        if (typeof head.kid !== 'string') return malformedToken('the token names no key');
        if (jku !== undefined && head.jku !== jku) return malformedToken('jku is not the pinned address');
        const signedHeaders = renderHeaders(head.tl_headers, reading);
        if (typeof signedHeaders !== 'string') return signedHeaders;
        const stamp = readPart(timestamp.at, reading);
        if (typeof stamp !== 'string') return stamp;
        const rejection = checkAge(stamp, timestamp, delivery.receivedAt);
        if (rejection) return rejection;
        const check = (found: KeyObject): Verdict => {
          const isRight = pathsOf(delivery, source).some((path) =>
            isSigned('ES512', found, `${parts[0]}.${payloadOf(delivery, path, signedHeaders)}`, parts[2]),
          );
          return isRight ? { ok: true, secretIndex: 0 } : { ok: false, reason: 'wrong_signature' };
        };
        return withKey(keys.find(head.kid, delivery.receivedAt, delivery.body.length), check);
      };
    },
    sign(request, source, { now, privateKey }) {
      const signer = privateKeyOf(privateKey);
      const stamp = formatTimestamp(now, 'iso');
      request.headers[timeHeader.toLowerCase()] = stamp;
      const jku = jwksOf(source.secrets[0] ?? '') ?? keysUrls['published-sandbox'];
      const kid = 'postbell-send';
      const head = encodeJson({ alg: 'ES512', kid, tl_version: '2', tl_headers: timeHeader, jku });
      const path = new URL(source.webhookUrl ?? request.url).pathname;
      const payload = payloadOf(request, path, `${timeHeader}: ${stamp}\n`);
      request.headers[signatureHeader] = `${head}..${signToken('ES512', signer, `${head}.${payload}`)}`;
    },
  };
}

function jwksOf(text: string): string | undefined {
  return Object.hasOwn(keysUrls, text) ? keysUrls[text] : undefined;
}

function keysOf(text: string, jku: string | undefined, source: Source): KeySource {
  if (jku !== undefined) return remoteKeys(jku, source);
  const own = parsePublicKey(text, key.kind, key.key);
  return own ? pinnedKey(own) : noKey;
}

/** The headers that the token lists, with the spelling of the token. The time must be among them. */
function renderHeaders(listed: unknown, reading: Reading): string | Rejection {
  const names = typeof listed === 'string' ? listed.split(',').filter((name) => name !== '') : [];
  if (names.length > maxSignedHeaders) return malformedToken('too many headers in tl_headers');
  if (!names.some((name) => name.toLowerCase() === timeHeader.toLowerCase()))
    return malformedToken(`${timeHeader} is not signed`);
  let text = '';
  for (const name of names) {
    const value = readPart(header(name), reading);
    if (typeof value !== 'string') return value;
    text += `${name}: ${value}\n`;
  }
  return text;
}

/** With or without a slash at the end, as in TrueLayer's library. */
function pathsOf(delivery: Delivery, { webhookUrl }: Source): string[] {
  const path =
    webhookUrl === undefined ? (delivery.url.split('?', 1)[0] ?? '') : new URL(webhookUrl).pathname;
  return [path, path.endsWith('/') ? path.slice(0, -1) : `${path}/`];
}

function payloadOf(
  { method, body }: Pick<Delivery, 'method' | 'body'>,
  path: string,
  headers: string,
): string {
  return Buffer.concat([Buffer.from(`${method} ${path}\n${headers}`, 'latin1'), body]).toString('base64url');
}

function event({ topic, id }: SampleDraft, more: object): object {
  return { type: topic, event_version: 1, event_id: id, ...more };
}
