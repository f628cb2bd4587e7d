// Twilio: base64 HMAC-SHA1 over the URL and the sorted form; by GET over the URL, and for JSON, whose hash is in the URL.
import { hash } from 'node:crypto';
import { queryAsForm } from '../body/body.ts';
import { sameText } from '../equal.ts';
import { queryParam, xmlAnswer } from '../handshake.ts';
import type { Provider, Rejection } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, sortedForm, url } from '../template/parts.ts';
import { readPart } from '../template/reading.ts';
import { randomId } from './sample.ts';

export const twilio: Provider = {
  name: 'twilio',
  title: 'Twilio',
  docsUrl: 'https://www.twilio.com/docs/usage/webhooks/webhooks-security',
  facts:
    'Signature, with the standard port in the URL or without, L: npm twilio, validateRequest and validateRequestWithBody. By GET the fields are in the query and nothing else is signed D: twilio.com/docs, usage/security. Idempotency token T. No retry by default M. Equal bodies are normal in calls (the same Digits once more): TWILIO_REPEATED_BODIES=run where handlers bear it.',
  scheme: hmac({
    hash: 'sha1',
    message: computed((reading) => signedText(reading, (configured) => configured)),
    otherMessages: [computed((reading) => signedText(reading, withOtherPort))],
    signature: { at: header('x-twilio-signature'), encoding: 'base64' },
    signs: { body: true, url: true },
  }),
  secret: textSecret({ label: 'Auth token', where: 'console.twilio.com → Account Info → Auth Token' }),
  // The token is not signed. The signed MessageSid is the same for all steps of a message.
  idIsSigned: false,
  body: { form: 'flat', signedText: sortedForm },
  sendsByGet: true,
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
  // XML without instructions: another type causes error 12300 for a message, and ends a call with an announcement.
  acceptedAnswer: xmlAnswer('<Response/>'),
  retries: 'Wants an answer within 15 s; no retries, unless the URL asks for them (#rc=…).',
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
 * For a JSON delivery, Twilio adds bodySHA256 to the query of the configured URL; for a GET, all fields. Any other body
 * must be a form, whose fields are signed: a signature over the URL alone must not prove a body.
 */
function signedText(reading: Reading, spelled: (configured: string) => string): string | Rejection {
  const { delivery } = reading;
  const asTyped = readPart(url, reading);
  if (typeof asTyped !== 'string') return asTyped;
  const configured = spelled(asTyped);
  const received = delivery.url.slice(delivery.url.indexOf('?'));
  const [base = ''] = configured.split('?', 1);
  const bodySha256 = queryParam(delivery, 'bodySHA256');
  if (delivery.method === 'GET') {
    const query = configured.slice(base.length) || '?';
    const isAdded = received === query || received.startsWith(query === '?' ? query : `${query}&`);
    if (isAdded && bodySha256 === undefined && delivery.body.equals(queryAsForm(delivery).body))
      return base + received;
    return {
      ok: false,
      reason: 'wrong_signature',
      detail: 'the URL has no fields besides the configured ones',
    };
  }
  if (bodySha256 === undefined)
    return readPart(delivery.body.length === 0 ? configured : [configured, sortedForm], reading);
  if (!sameText(hash('sha256', delivery.body, 'hex'), bodySha256))
    return { ok: false, reason: 'wrong_signature', detail: 'bodySHA256 belongs to another body' };
  return base + received;
}

/** The URL without its port, or with the standard port where absent: Twilio's products sign one or the other. */
function withOtherPort(configured: string): string {
  const [, scheme = '', host = '', port, rest = ''] =
    /^(https?:\/\/)((?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:]*))(:\d*)?(.*)$/is.exec(configured) ?? [];
  if (port !== undefined) return scheme + host + rest;
  return `${scheme}${host}${scheme.toLowerCase() === 'https://' ? ':443' : ':80'}${rest}`;
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
