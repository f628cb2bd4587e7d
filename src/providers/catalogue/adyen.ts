// Adyen: payments carry an HMAC in each item over eight of its fields; platform webhooks one over the body in a header.
import { createHmac } from 'node:crypto';
import { decodeBody, valueAt } from '../body/body.ts';
import { sameText } from '../equal.ts';
import type { Provider, Rejection, SampleDraft, Scheme, Verdict } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { hmac } from '../schemes/hmac.ts';
import { decodeKey } from '../schemes/key.ts';
import { encodedSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

type Fields = Record<string, unknown>;

const signaturePath = ['additionalData', 'hmacSignature'];
const merchantReferenceField = 'merchantReference';
const idFields = ['pspReference', 'eventCode', 'success'];
const signedPaths = [
  ['pspReference'],
  ['originalReference'],
  ['merchantAccountCode'],
  [merchantReferenceField],
  ['amount', 'value'],
  ['amount', 'currency'],
  ['eventCode'],
  ['success'],
];
const maxItems = 1_000;

const platform = hmac({
  key: 'hex',
  message: rawBody,
  signature: { at: header('hmacsignature'), encoding: 'base64' },
});
const payments = perItem();

export const adyen: Provider = {
  name: 'adyen',
  title: 'Adyen',
  docsUrl: 'https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures/',
  facts:
    'Both signatures L+D: npm @adyen/api-library and the page above. 2xx as answer D, [accepted] D: Adyen on dev.to and its example code. Duplicates by eventCode and pspReference M. OF A PAYMENT ONLY EIGHT FIELDS ARE SIGNED: reason, eventDate and most of additionalData can be altered on the way. JSON only.',
  scheme: {
    ...alternatives({ headers: ['hmacsignature'], scheme: platform }, { headers: [], scheme: payments }),
    sign: (request, source, options) =>
      (paymentItems(request.body) ? payments : platform).sign(request, source, options),
  },
  secret: encodedSecret({
    label: 'HMAC key',
    key: 'hex',
    where: 'Customer Area → Developers → Webhooks → your webhook → Security → HMAC key',
  }),
  idIsSigned: true,
  events: {
    id: [json('pspReference'), ':', json('eventCode'), ':', json('success')],
    topic: firstOf(json('eventCode'), json('type')),
    occurredAt: { at: firstOf(json('eventDate'), json('timestamp')), unit: 'iso' },
    items: (body) => itemsOf(body),
  },
  acceptedAnswer: { status: 200, contentType: 'text/plain; charset=utf-8', body: '[accepted]' },
  retries:
    'Wants a 2xx within 10 s; failed deliveries are queued and sent again with growing gaps for up to 30 days.',
  sending: { newId: () => randomId().slice(0, 16).toUpperCase() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    AUTHORISATION: (draft) => notification([payment(draft, draft.id), payment(draft, randomId())]),
    REFUND: (draft) => notification([{ ...payment(draft, draft.id), originalReference: randomId() }]),
    'balancePlatform.transfer.created': ({ topic, id, now }) => ({
      type: topic,
      environment: 'test',
      timestamp: now.toISOString(),
      data: { id, amount: { currency: 'EUR', value: 1250 }, status: 'received' },
    }),
    '*': (draft) => notification([payment(draft, draft.id)]),
  },
};

/** Every item must have a valid signature, all with the same key: an unsigned item rejects the delivery. */
function perItem(): Scheme {
  return {
    summary: 'HMAC-SHA256 over eight fields in each item',
    proofHeaders: [],
    proofParams: [],
    signsBody: false,
    signsUrl: false,
    prepare(source) {
      const keys = source.secrets.map((secret) => decodeKey('hex', secret));
      return (delivery): Verdict => {
        const items = itemsOf(decodeBody(delivery, source).value);
        if (!items) return missing('hmacsignature, and notificationItems in the body');
        if (items.length === 0 || items.length > maxItems) return malformed('no items, or too many');
        const texts: string[] = [];
        for (const item of items) {
          const text = signedText(item);
          if (text === undefined) return malformed('a field of an item has a form that Adyen never sends');
          const signature = valueAt(item, signaturePath);
          if (typeof signature !== 'string') return missing('hmacSignature in an item');
          texts.push(text, signature);
        }
        const secretIndex = keys.findIndex((key) => key && allHold(key, texts));
        return secretIndex < 0 ? { ok: false, reason: 'wrong_signature' } : { ok: true, secretIndex };
      };
    },
    sign(request, source) {
      const key = decodeKey('hex', source.secrets[0] ?? '');
      if (!key) throw new Error('the secret does not have the form that this provider uses');
      const items = paymentItems(request.body) ?? [];
      const signed = items.map((item) => {
        const hmacSignature = macOf(key, signedText(item) ?? '');
        const additionalData = {
          ...(valueAt(item, ['additionalData']) as Fields | undefined),
          hmacSignature,
        };
        return { ...(item as Fields), additionalData };
      });
      request.body = Buffer.from(
        JSON.stringify({ ...JSON.parse(request.body.toString()), ...notification(signed) }),
      );
    },
  };
}

/** Pairs of text and signature. */
function allHold(key: Buffer, texts: readonly string[]): boolean {
  for (let i = 0; i < texts.length; i += 2)
    if (!sameText(macOf(key, texts[i] ?? ''), texts[i + 1] ?? '')) return false;
  return true;
}

function macOf(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64');
}

/**
 * The eight fields joined by `:`, without escaping. Only the merchant's reference may contain a colon: since the other
 * seven cannot, every signed text stands for exactly one set of fields.
 */
function signedText(item: unknown): string | undefined {
  const values: string[] = [];
  for (const [name = '', ...more] of signedPaths) {
    const value = valueAt(item, [name, ...more]) ?? '';
    // `true` is signed like "true", and a number like its rounded text, but both would give a different id or none.
    if (typeof value !== 'string' && name !== 'amount') return undefined;
    if (typeof value === 'object') return undefined;
    const text = String(value);
    if (text.includes(':') && name !== merchantReferenceField) return undefined;
    if (text === '' && idFields.includes(name)) return undefined;
    values.push(text);
  }
  return values.join(':');
}

function itemsOf(body: unknown): unknown[] | undefined {
  const items = valueAt(body, ['notificationItems']);
  // An entry of another shape stays unchanged: without a signature, it rejects the delivery.
  return Array.isArray(items)
    ? items.map((item) => valueAt(item, ['NotificationRequestItem']) ?? item)
    : undefined;
}

function paymentItems(body: Buffer): unknown[] | undefined {
  try {
    return itemsOf(JSON.parse(body.toString('utf8')));
  } catch {
    // A given body that is no JSON can still be signed as a whole.
    return undefined;
  }
}

function notification(items: readonly object[]): object {
  return { live: 'false', notificationItems: items.map((item) => ({ NotificationRequestItem: item })) };
}

function payment({ topic, now }: SampleDraft, pspReference: string): object {
  return {
    additionalData: {},
    amount: { currency: 'EUR', value: randomNumber(4) },
    eventCode: topic,
    eventDate: now.toISOString(),
    merchantAccountCode: 'BellECOM',
    merchantReference: `order-${randomNumber(6)}`,
    paymentMethod: 'visa',
    pspReference,
    success: 'true',
  };
}

function missing(what: string): Rejection {
  return { ok: false, reason: 'missing_header', detail: `missing ${what}` };
}

function malformed(detail: string): Rejection {
  return { ok: false, reason: 'malformed_signature', detail };
}
