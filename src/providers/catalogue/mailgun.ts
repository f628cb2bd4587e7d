// Mailgun: hex HMAC over `timestamp token`, both in the body beside an event that is not signed at all.
import { computed, json, type Reading, timestamp } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { readText } from '../reading.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const mailgun: Provider = {
  name: 'mailgun',
  title: 'Mailgun',
  docsUrl: 'https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks',
  facts:
    'Signature D: documentation.mailgun.com, securing webhooks. The event is not signed, so a token is good for one event, as that page advises. id and event T. Retries D: the same, webhook retries.',
  scheme: hmac({
    message: [timestamp, json('signature.token')],
    signature: { at: json('signature.signature'), encoding: 'hex' },
    // No tolerance is documented, and a retry may carry the first attempt's time: they go on for 8 hours.
    timestamp: { at: json('signature.timestamp'), unit: 's', pastSeconds: 9 * 3600 },
  }),
  secret: textSecret({
    label: 'HTTP webhook signing key',
    where: 'app.mailgun.com → API security → HTTP webhook signing key',
  }),
  idIsSigned: false,
  events: {
    id: json('event-data.id'),
    signedToken: json('signature.token'),
    topic: json('event-data.event'),
    occurredAt: { at: computed(eventTimeMs), unit: 'ms' },
  },
  retries:
    'Wants 200; 406 ends it, anything else is tried again for 8 h, after 5, 10 and 15 min, 1, 2 and 4 h.',
  answers: { success: [200], failure: { 406: 'final', any: 'retried' } },
  samples: {
    delivered: (draft) => event(draft, { 'delivery-status': { code: 250, message: 'OK', 'attempt-no': 1 } }),
    failed: (draft) =>
      event(draft, { severity: 'permanent', reason: 'bounce', 'delivery-status': { code: 550 } }),
    opened: (draft) => event(draft, { ip: '203.0.113.7' }),
    '*': (draft) => event(draft, {}),
  },
};

/** Seconds with a fraction, as a number. */
function eventTimeMs(reading: Reading): string | undefined {
  const seconds = Number(readText(json('event-data.timestamp'), reading));
  return seconds > 0 && seconds < 1e11 ? String(Math.round(seconds * 1000)) : undefined;
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
