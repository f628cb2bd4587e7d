// Mollie: next-generation events are signed; a payment's own webhook holds only an id, and is proven by a token of your choice in its URL.
import { isUtf8 } from 'node:buffer';
import type { Delivery, Provider, SampleDraft, Scheme, SecretSpec } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { hmac } from '../schemes/hmac.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { credentialSecret, textSecret } from '../secrets.ts';
import { arrival, computed, firstOf, header, json, query, type Reading, rawBody } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const tokenPrefix = 'token_';
const tokenWhere = `chosen by you, beginning with ${tokenPrefix}: end the webhookUrl of each payment with ?token=${tokenPrefix}…`;

const signed = hmac({
  message: rawBody,
  signature: {
    at: header('x-mollie-signature'),
    encoding: 'hex',
    prefix: 'sha256=',
    prefixOptional: true,
    repeats: true,
  },
});

const byToken = credential({ at: query('token'), name: 'token of yours' });

/** Logs may keep a token in a URL. So a token proves only an id, and the handler must read the object through the API. */
const classic: Scheme = {
  ...byToken,
  prepare(source) {
    const verify = byToken.prepare(source);
    return (delivery) =>
      classicId(delivery) !== undefined
        ? verify(delivery)
        : {
            ok: false,
            reason: 'missing_header',
            detail: 'missing x-mollie-signature; with a token, only forms are accepted',
          };
  },
};

const signingSecret = textSecret({
  label: 'Signing secret, or token',
  format: `the signing secret, used as text; or ${tokenPrefix}…, for the unsigned webhooks of payments`,
  where: `Dashboard → Developers → Webhooks → your webhook → Signing secret; or ${tokenWhere}`,
});
const token = credentialSecret({ label: 'Token', prefix: tokenPrefix, where: tokenWhere });
const isToken = (secret: string) => secret.startsWith(tokenPrefix);
const secret: SecretSpec = {
  ...signingSecret,
  check: (text) => (isToken(text) ? token : signingSecret).check(text),
};

export const mollie: Provider = {
  name: 'mollie',
  title: 'Mollie (next-generation webhooks, and those of payments)',
  docsUrl: 'https://docs.mollie.com/reference/webhooks-best-practices',
  facts:
    'Signature, with sha256= or without, several of them, id, type and createdAt L: mollie/mollie-api-php, SignatureValidator and webhook-event.json. None of its events is for payments L: the same, src/Webhooks/Events. A payment has an unsigned webhook of its own, a form with id=tr_… alone, of which the API is to be asked D: the same, handle-webhook.md; it is sent at each change of the payment, so each delivery is an event. Two headers for 24 h after a change of secret T: Hookdeck.',
  scheme: perSecret({ when: (text) => !isToken(text), scheme: signed }, { scheme: classic }),
  secret,
  idIsSigned: true,
  body: { extractJson },
  events: {
    id: firstOf(computed(eventId), [json('id'), ':', arrival]),
    topic: firstOf(computed(classicTopic), json('type')),
    occurredAt: { at: json('createdAt'), unit: 'iso' },
  },
  retries: 'Wants a 2xx (webhooks of payments: 200); tries again with growing gaps for about a day.',
  sending: { newId: () => randomId('event_') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'payment-link.paid': (draft) =>
      event(draft, {
        resource: 'payment-link',
        id: randomId('pl_'),
        amount: { value: '42.00', currency: 'EUR' },
      }),
    'balance-transaction.created': (draft) =>
      event(draft, { resource: 'balance-transaction', id: randomId('baltr_') }),
    '*': (draft) => event(draft, { resource: 'sales-invoice', id: randomId('invoice_'), status: 'paid' }),
  },
};

/** Decides by the bytes alone: the content type is not signed. */
function classicId({ body }: Delivery): string | undefined {
  if (body.length > 110) return undefined;
  return /^id=([\w-]{1,100})$/.exec(body.toString('latin1'))?.[1];
}

function extractJson(delivery: Delivery): string | undefined {
  const id = classicId(delivery);
  if (id !== undefined) return JSON.stringify({ id });
  return isUtf8(delivery.body) ? delivery.body.toString('utf8') : undefined;
}

/** A classic webhook holds the payment's id, which is the same for all changes of the payment. */
function eventId(reading: Reading): string | undefined {
  return classicId(reading.delivery) === undefined ? readText(json('id'), reading) : undefined;
}

/** `classic.tr` for a payment, by the prefix of its id. */
function classicTopic({ delivery }: Reading): string | undefined {
  const id = classicId(delivery);
  return id && `classic.${id.split('_', 1)[0]}`;
}

function event({ topic, id, now }: SampleDraft, entity: { id: string } & Record<string, unknown>): object {
  return {
    resource: 'event',
    id,
    type: topic,
    entityId: entity.id,
    createdAt: now.toISOString(),
    _embedded: { entity },
  };
}
