// Plivo v3: base64 HMAC over the URL, `?`, the sorted form fields, a dot and a nonce.
import { formFields } from '../body/body.ts';
import { xmlAnswer } from '../handshake.ts';
import type { Provider, Rejection } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, url } from '../template/parts.ts';
import { missing, readPart } from '../template/reading.ts';
import { randomId } from './sample.ts';

const nonceHeader = 'x-plivo-signature-v3-nonce';

export const plivo: Provider = {
  name: 'plivo',
  title: 'Plivo',
  docsUrl: 'https://www.plivo.com/docs/messaging/concepts/signature-validation',
  facts:
    'Signature L: npm plivo, validateV3Signature. X-Plivo-Signature-MA-V3 with the same nonce for messages T: a receiver that checked it on a real delivery. V2 signs no body and is not accepted. XML as answer D: plivo.com/docs, XML response. Fields M. Retries unknown.',
  scheme: hmac({
    message: [computed(signedRequest), '.', header(nonceHeader)],
    // Calls use the first header, messages the second (signed with the token of the main account).
    signature: {
      at: { headers: ['x-plivo-signature-v3', 'x-plivo-signature-ma-v3'] },
      encoding: 'base64',
      separator: ',',
    },
    signs: { body: true, url: true },
  }),
  secret: textSecret({ label: 'Auth token', where: 'console.plivo.com → Overview → Auth Token' }),
  // Plivo sends no id of a callback, and all steps of a message share its MessageUUID: the body's hash is the id.
  idIsSigned: true,
  body: { form: 'flat', signedText: computed(signedFields) },
  events: {
    topic: firstOf(
      json('Event'),
      ['message.', json('Status')],
      ['call.', json('CallStatus')],
      ['message.', json('Type')],
    ),
  },
  headers: [nonceHeader],
  // XML without instructions, which message_url and answer_url require.
  acceptedAnswer: xmlAnswer('<Response/>'),
  retries: 'Wants 200; retries unknown.',
  sending: { headers: () => ({ [nonceHeader]: randomId() }) },
  answers: { success: [200] },
  samples: {
    'message.delivered': () =>
      new URLSearchParams({ ...message(), Status: 'delivered', TotalAmount: '0.00350' }),
    'message.sms': () => new URLSearchParams({ ...message(), Type: 'sms', Text: 'Ring: ä & ö' }),
    Hangup: ({ topic }) =>
      new URLSearchParams({
        Event: topic,
        CallUUID: crypto.randomUUID(),
        CallStatus: 'completed',
        Direction: 'inbound',
        Duration: '17',
        From: '15005550006',
        To: '14155238886',
      }),
    '*': ({ topic }) => new URLSearchParams({ Event: topic, CallUUID: crypto.randomUUID() }),
  },
};

/** The configured URL with its query sorted, and the fields. A signature over the URL alone carries no body. */
function signedRequest(reading: Reading): string | Rejection {
  const configured = readPart(url, reading);
  if (typeof configured !== 'string') return configured;
  const mark = configured.indexOf('?');
  const base = mark < 0 ? configured : configured.slice(0, mark);
  const query = mark < 0 ? [] : [...new URLSearchParams(configured.slice(mark + 1))];
  const fields = signedFields(reading);
  if (typeof fields !== 'string') return fields;
  const sortedQuery = sorted(query, '=').join('&');
  if (fields === '') return sortedQuery === '' ? base : `${base}?${sortedQuery}`;
  return `${base}?${sortedQuery}${sortedQuery === '' ? '' : '.'}${fields}`;
}

/** Names and values without separators, as signed. Several forms give the same text, so the id is its hash. */
function signedFields({ delivery }: Reading): string | Rejection {
  const fields = delivery.body.length === 0 ? [] : formFields(delivery);
  return fields ? sorted(fields, '').join('') : missing('a form that can be read');
}

function sorted(pairs: readonly (readonly [string, string])[], between: string): string[] {
  return [...pairs]
    .sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
    .map(([name, value]) => name + between + value);
}

/** By UTF-16 units, as their library sorts. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function message(): Record<string, string> {
  return { From: '15005550006', To: '14155238886', MessageUUID: crypto.randomUUID(), Units: '1' };
}
