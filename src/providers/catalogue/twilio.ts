// Twilio: base64 HMAC-SHA1 over the URL and the sorted form; for JSON over the URL, which then names the body's hash.
import { hash } from 'node:crypto';
import { sameText } from '../equal.ts';
import { queryParam, xmlAnswer } from '../handshake.ts';
import { computed, firstOf, header, json, type Reading, sortedForm, url } from '../parts.ts';
import type { Provider, Refusal } from '../provider.ts';
import { readPart } from '../reading.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const twilio: Provider = {
  name: 'twilio',
  title: 'Twilio',
  docsUrl: 'https://www.twilio.com/docs/usage/webhooks/webhooks-security',
  facts:
    'Signature L: npm twilio, validateRequest and validateRequestWithBody. Idempotency token T. No retry by default M.',
  scheme: hmac({
    hash: 'sha1',
    message: computed(signedText),
    signature: { at: header('x-twilio-signature'), encoding: 'base64' },
    signs: { body: true, url: true },
  }),
  secret: textSecret({ label: 'Auth token', where: 'console.twilio.com → Account Info → Auth Token' }),
  // The token is outside the signature; what is inside it (MessageSid) is shared by the steps of one message.
  idIsSigned: false,
  body: { form: 'flat', signsFields: true },
  events: {
    id: header('i-twilio-idempotency-token'),
    topic: firstOf(
      ['message.', json('MessageStatus')],
      ['message.', json('SmsStatus')],
      ['call.', json('CallStatus')],
      json('type'),
    ),
  },
  headers: ['i-twilio-idempotency-token'],
  // No instructions: to other types than XML a message is error 12300, and a call ends with an announcement.
  acceptedAnswer: xmlAnswer('<Response/>'),
  retries: 'Wants an answer within 15 s; none by itself, unless the URL asks for it (#rc=…).',
  sending: { newId: () => crypto.randomUUID(), headers: ({ id }) => ({ 'i-twilio-idempotency-token': id }) },
  answers: { failure: { any: 'if-asked' } },
  samples: {
    'message.delivered': () => message('delivered'),
    'message.received': () => {
      const fields = message('received');
      fields.set('SmsStatus', 'received');
      fields.delete('MessageStatus');
      fields.set('Body', 'Ring the bell: ä & ö');
      return fields;
    },
    'call.completed': () =>
      new URLSearchParams({
        AccountSid: `AC${randomId()}`,
        CallSid: `CA${randomId()}`,
        CallStatus: 'completed',
        CallDuration: '17',
        From: '+15005550006',
        To: '+14155238886',
      }),
    '*': ({ topic }) => new URLSearchParams({ AccountSid: `AC${randomId()}`, type: topic }),
  },
};

/**
 * A JSON delivery is told by bodySHA256 in the query that Twilio adds to the URL as configured. Any other body must
 * be a form and is signed field by field: a signature over the URL alone must not carry a body.
 */
function signedText(reading: Reading): string | Refusal {
  const bodySha256 = queryParam(reading.delivery, 'bodySHA256');
  const { body } = reading.delivery;
  if (bodySha256 === undefined) return readPart(body.length === 0 ? url : [url, sortedForm], reading);
  if (!sameText(hash('sha256', body, 'hex'), bodySha256))
    return { ok: false, reason: 'wrong_signature', detail: 'the body is not the one that bodySHA256 names' };
  const configured = readPart(url, reading);
  if (typeof configured !== 'string') return configured;
  const [base] = configured.split('?', 1);
  return base + reading.delivery.url.slice(reading.delivery.url.indexOf('?'));
}

function message(status: string): URLSearchParams {
  return new URLSearchParams({
    AccountSid: `AC${randomId()}`,
    ApiVersion: '2010-04-01',
    From: '+15005550006',
    MessageSid: `SM${randomId()}`,
    MessageStatus: status,
    To: '+14155238886',
  });
}
