// Braintree: a form with `bt_payload` (base64 XML) and `bt_signature` (public keys with HMAC-SHA1 of the payload).
import { createHash, createHmac } from 'node:crypto';
import { formFields } from '../body/body.ts';
import { singleField } from '../body/form.ts';
import { queryParam, textAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, Rejection, SampleDraft, Source } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { pairSecret } from '../secrets.ts';
import { computed, formField, json, type Reading } from '../template/parts.ts';
import { readPart } from '../template/reading.ts';
import { randomId } from './sample.ts';

const publicKeyOf = (secret: string) => secret.slice(0, secret.indexOf(':'));
const keyOf = (secret: string) =>
  createHash('sha1')
    .update(secret.slice(secret.indexOf(':') + 1))
    .digest();

/** The handshake signs any text of this form for anybody, so no payload may have this form. */
const challengePattern = /^[a-f0-9]{20,32}$/;

export const braintree: Provider = {
  name: 'braintree',
  title: 'Braintree',
  docsUrl: 'https://developer.paypal.com/braintree/docs/guides/webhooks/parse',
  facts: 'Signature and handshake L: npm braintree, webhookNotification.parse and verify. Retries M.',
  scheme: hmac({
    hash: 'sha1',
    key: keyOf,
    // As in Braintree's library: a proxy may remove the newline at the end, but the newline was signed.
    message: computed(signedPayload),
    otherMessages: [[computed(signedPayload), '\n']],
    signs: { body: true },
    signature: {
      at: formField('bt_signature'),
      encoding: 'hex',
      separator: '&',
      after: '|',
      labelOf: publicKeyOf,
    },
  }),
  secret: pairSecret({
    label: 'Public and private key',
    names: ['public key', 'private key'],
    where: 'Control panel → Settings → API → API Keys',
  }),
  idIsSigned: true,
  // The signature does not cover added form fields, so the id is the hash of the signed payload.
  body: { extractJson, signedText: computed(({ delivery }) => `${payloadOf(delivery)?.trimEnd()}\n`) },
  events: {
    topic: json('kind'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  handshakes: [{ method: 'GET', phase: 'unsigned', answer: answerChallenge }],
  retries: 'Wants a 2xx within 30 s; tries again every hour for up to 24 h.',
  sending: { contentType: 'application/x-www-form-urlencoded' },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    subscription_charged_successfully: (draft) =>
      // The lists are always present: Braintree's library cannot read a subscription without them.
      notification(
        draft,
        `<subscription><id>${randomId()}</id><status>Active</status><price>19.90</price>${['transactions', 'add-ons', 'discounts'].map((list) => `<${list} type="array"></${list}>`).join('')}</subscription>`,
      ),
    dispute_opened: (draft) => notification(draft, `<dispute><id>${randomId()}</id></dispute>`),
    // Braintree's own check has no id: two of one second would be one event.
    check: (draft) => notification(draft, `<check type="boolean">true</check><id>${randomId()}</id>`),
    '*': (draft) => notification(draft, `<id>${randomId()}</id>`),
  },
};

function payloadOf(delivery: Delivery): string | undefined {
  const fields = formFields(delivery);
  return fields && singleField(fields, 'bt_payload');
}

function signedPayload(reading: Reading): string | Rejection {
  const payload = readPart(formField('bt_payload'), reading);
  if (typeof payload !== 'string' || !challengePattern.test(payload.trim())) return payload;
  return { ok: false, reason: 'wrong_signature', detail: 'bt_payload is a challenge' };
}

/** Both fields, for handlers that use Braintree's library, and the values that Postbell reads from the XML. */
function extractJson(delivery: Delivery): string | undefined {
  const fields = formFields(delivery);
  const payload = payloadOf(delivery);
  if (!fields || payload === undefined) return undefined;
  const xml = Buffer.from(payload, 'base64').toString('utf8');
  return JSON.stringify({
    kind: /<kind>([A-Za-z0-9_.-]{1,100})<\/kind>/.exec(xml)?.[1] ?? null,
    timestamp: /<timestamp type="datetime">([0-9TZ:.+-]{1,40})<\/timestamp>/.exec(xml)?.[1] ?? null,
    bt_signature: singleField(fields ?? [], 'bt_signature') ?? null,
    bt_payload: payload,
  });
}

function answerChallenge(delivery: Delivery, source: Source): HandshakeAnswer | undefined {
  const challenge = queryParam(delivery, 'bt_challenge');
  if (challenge === undefined || !challengePattern.test(challenge)) return undefined;
  const secret = source.secrets[0] ?? '';
  const mac = createHmac('sha1', keyOf(secret)).update(challenge).digest('hex');
  return textAnswer(`${publicKeyOf(secret)}|${mac}`);
}

function notification({ topic, now }: SampleDraft, subject: string): URLSearchParams {
  const time = now.toISOString().replace(/\.\d+Z$/, 'Z');
  const xml = `<notification><timestamp type="datetime">${time}</timestamp><kind>${topic}</kind><subject>${subject}</subject></notification>`;
  return new URLSearchParams({ bt_payload: `${Buffer.from(xml).toString('base64')}\n` });
}
