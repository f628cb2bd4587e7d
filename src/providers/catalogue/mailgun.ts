// Mailgun: hex HMAC over `timestamp token`, both in the body beside an unsigned event or mail.
import { hash } from 'node:crypto';
import type { Delivery, Provider, SampleDraft, Scheme } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, formField, json, type Part, type Reading, timestamp } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

/** Routes post timestamp, token and signature as form fields, events as one object of a JSON body. */
const ofEvent = signedAt((name) => json(`signature.${name}`));
const ofMail = signedAt(json);
const inbound = 'inbound';

const scheme: Scheme = {
  ...ofEvent,
  prepare(source) {
    const [verifyEvent, verifyMail] = [ofEvent.prepare(source), ofMail.prepare(source)];
    return (delivery) => (isJson(delivery) ? verifyEvent : verifyMail)(delivery);
  },
  sign(request, source, options) {
    const used = request.body[0] === 123 ? ofEvent : signedAt(formField);
    used.sign(request, source, options);
  },
};

export const mailgun: Provider = {
  name: 'mailgun',
  title: 'Mailgun (events, and mail of routes)',
  docsUrl: 'https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks',
  facts:
    'Signature D: documentation.mailgun.com, securing webhooks. The event is not signed, so a token is good for one event, as that page advises. id and event T. Retries D: the same, webhook retries. Routes with forward() post the parsed mail as a form, with attachments as a multipart one, signed by fields of their own D: the same, receive-http. That a retry has another token is not documented: a mail is known by the hash of all its other fields. The raw MIME of URLs that end with mime is read alike.',
  scheme,
  secret: textSecret({
    label: 'HTTP webhook signing key',
    where: 'app.mailgun.com → API security → HTTP webhook signing key',
  }),
  idIsSigned: false,
  body: { form: 'flat', multipart: true, credentials: ['signature.signature', 'signature'] },
  events: {
    id: firstOf(json('event-data.id'), computed(mailId)),
    signedToken: firstOf(json('signature.token'), json('token')),
    topic: firstOf(
      json('event-data.event'),
      computed((reading) => mailOf(reading) && inbound),
    ),
    occurredAt: { at: computed(eventTimeMs), unit: 'ms' },
  },
  retries:
    'Wants 200; no retry after 406, after any other answer it tries again for 8 h, after 5, 10 and 15 min, 1, 2 and 4 h (mail: 10, 15 and 30 min, 1, 2 and 4 h).',
  answers: { success: [200], failure: { 406: 'final', any: 'retried' } },
  samples: {
    delivered: (draft) => event(draft, { 'delivery-status': { code: 250, message: 'OK', 'attempt-no': 1 } }),
    failed: (draft) =>
      event(draft, { severity: 'permanent', reason: 'bounce', 'delivery-status': { code: 550 } }),
    opened: (draft) => event(draft, { ip: '203.0.113.7' }),
    [inbound]: mail,
    '*': (draft) => event(draft, {}),
  },
};

function signedAt(at: (name: string) => Part): Scheme {
  return hmac({
    message: [timestamp, at('token')],
    signature: { at: at('signature'), encoding: 'hex' },
    // No tolerance is documented, and a retry may carry the first attempt's time. Retries last 8 hours.
    timestamp: { at: at('timestamp'), unit: 's', pastSeconds: 9 * 3600 },
  });
}

function isJson({ body }: Delivery): boolean {
  return body[0] === 123;
}

/** The mail of a route as its fields; its sender decides most of their names and values. */
function mailOf({ delivery, decoded }: Reading): object | undefined {
  if (isJson(delivery) || typeof decoded?.value !== 'object' || decoded.value === null) return undefined;
  return decoded.value;
}

/** The mail's sender chooses the Message-Id: two mails may have the same, and a mail may arrive once per recipient. */
function mailId(reading: Reading): string | undefined {
  const mail = mailOf(reading);
  if (!mail) return undefined;
  const { timestamp: _time, token: _token, signature: _signature, ...kept } = mail as Record<string, unknown>;
  return `mail:${hash('sha256', JSON.stringify(kept))}`;
}

/** For an event, a number of seconds with a fraction; for a mail, the signed time. */
function eventTimeMs(reading: Reading): string | undefined {
  const at = mailOf(reading) ? json('timestamp') : json('event-data.timestamp');
  const seconds = Number(readText(at, reading));
  return seconds > 0 && seconds < 1e11 ? String(Math.round(seconds * 1000)) : undefined;
}

function mail({ id }: SampleDraft): URLSearchParams {
  return new URLSearchParams({
    recipient: 'orders@example.com',
    sender: 'ada@example.com',
    from: 'Ada <ada@example.com>',
    subject: 'Ring',
    'body-plain': 'Ring the bell: ä & ö',
    'Message-Id': `<${id}@mail.example.com>`,
    timestamp: '',
    token: randomId() + randomId(),
    signature: '',
  });
}

function event({ topic, id, now }: SampleDraft, more: object): object {
  return {
    signature: { timestamp: '', token: randomId() + randomId(), signature: '' },
    'event-data': {
      id,
      event: topic,
      timestamp: now.getTime() / 1000,
      'log-level': 'info',
      recipient: 'ada@example.com',
      message: { headers: { 'message-id': `${randomId()}@mail.example.com`, subject: 'Ring' } },
      'user-variables': {},
      ...more,
    },
  };
}
