// Mercado Pago: an HMAC over the object's id in the URL, the request's id and a time; the body is not signed.

import type { OutgoingRequest, Provider, Rejection, SampleDraft, Scheme } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { readSignatures, type SignatureSpec } from '../schemes/signature.ts';
import { textSecret } from '../secrets.ts';
import {
  type Computed,
  computed,
  firstOf,
  header,
  item,
  json,
  optional,
  type Part,
  query,
  type Reading,
  timestamp,
} from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const proof: SignatureSpec = {
  at: header('x-signature'),
  encoding: 'hex',
  separator: ',',
  prefix: 'v1=',
};
const signedIds: readonly Part[] = [
  optional('id:', computed(lowerCaseId), ';'),
  optional('request-id:', header('x-request-id'), ';'),
];
const signature = hmac({
  message: [...signedIds, 'ts:', timestamp, ';'],
  signature: proof,
  // Seconds in some products, milliseconds in others. Whether a retry has a new time is not documented.
  timestamp: { at: item('ts'), unit: 's', ageUnchecked: true },
  signs: { body: false },
});

export const mercadopago: Provider = {
  name: 'mercadopago',
  title: 'Mercado Pago',
  docsUrl: 'https://www.mercadopago.com.br/developers/en/docs/your-integrations/notifications/webhooks',
  facts:
    'Signature and parts that may be missing L: npm mercadopago, WebhookSignatureValidator; it leaves the lower case of data.id to you T. Ids M. THE BODY IS NOT SIGNED: anybody who saw one delivery can send another body with it, so a handler should take only data.id from it and read the object by the API. QR notifications are not signed at all L.',
  scheme: { ...signature, sign: signWithQuery } satisfies Scheme,
  secret: textSecret({
    label: 'Secret signature',
    where: 'mercadopago.com → Your integrations → your application → Webhooks → Secret signature',
  }),
  idIsSigned: false,
  events: {
    id: json('id'),
    signedToken: [...signedIds, computed(signedTime)],
    topic: firstOf(json('action'), json('type')),
    occurredAt: { at: json('date_created'), unit: 'iso' },
  },
  headers: ['x-request-id'],
  retries: 'Wants a 200 or 201 within 22 s; tries again every 15 minutes, later with growing gaps.',
  sending: {
    newId: () => String(randomNumber(12)),
    headers: () => ({ 'x-request-id': crypto.randomUUID() }),
  },
  answers: { success: [200, 201], failure: { '5xx': 'retried' } },
  samples: {
    'payment.created': (draft) => notification(draft),
    'payment.updated': (draft) => notification(draft),
    '*': (draft) => notification(draft),
  },
};

function signedTime({ delivery, source }: Reading): Computed {
  const reading = startReading(delivery, source);
  const candidates = readSignatures(proof, reading);
  return Array.isArray(candidates) ? readPart(item('ts'), reading) : candidates;
}

/** Lower case, as Mercado Pago's documentation requires; only ids of letters and digits change. */
function lowerCaseId(reading: Reading): string | Rejection {
  const id = readPart(query('data.id'), reading);
  return typeof id === 'string' ? id.toLowerCase() : id;
}

/** The object's id and the type are also in the URL, where the id is signed. */
function signWithQuery(
  request: OutgoingRequest,
  ...rest: [Parameters<Scheme['sign']>[1], Parameters<Scheme['sign']>[2]]
) {
  const url = new URL(request.url);
  const { data, type } = parsed(request.body);
  if (!url.searchParams.has('data.id') && data?.id !== undefined) {
    const mark = url.search === '' ? '?' : '&';
    request.url += `${mark}data.id=${encodeURIComponent(String(data.id))}&type=${encodeURIComponent(String(type))}`;
  }
  signature.sign(request, ...rest);
}

function parsed(body: Buffer): { data?: { id?: unknown }; type?: unknown } {
  try {
    return JSON.parse(body.toString('utf8')) ?? {};
  } catch {
    // A given body that is no JSON is signed without an id.
    return {};
  }
}

function notification({ topic, id, now }: SampleDraft): object {
  return {
    id,
    live_mode: false,
    type: topic.split('.')[0],
    date_created: now.toISOString(),
    user_id: randomNumber(8),
    api_version: 'v1',
    action: topic,
    data: { id: `ORD${randomNumber(10)}` },
  };
}
