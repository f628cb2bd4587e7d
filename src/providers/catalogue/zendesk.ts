// Zendesk: base64 HMAC over `timestamp body`; events of Zendesk's own shape, and triggers with your own body.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, rawBody, timestamp } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId, randomNumber } from './sample.ts';

const invocationHeader = 'x-zendesk-webhook-invocation-id';
const timeHeader = 'x-zendesk-webhook-signature-timestamp';

export const zendesk: Provider = {
  name: 'zendesk',
  title: 'Zendesk',
  docsUrl: 'https://developer.zendesk.com/documentation/webhooks/verifying/',
  facts:
    'Headers, and bodies of triggers in any format D: developer.zendesk.com, anatomy of a webhook request. Signature T: n8n, Hookdeck and Trigger.dev, which agree. Shape of events and their id T: several receivers that agree. That an invocation keeps its id over attempts T. Retries after certain codes and a circuit breaker D: developer.zendesk.com, webhooks introduction; which codes, and its limits T. Deadline T.',
  scheme: hmac({
    message: [timestamp, rawBody],
    signature: { at: header('x-zendesk-webhook-signature'), encoding: 'base64' },
    // No tolerance is documented; whether retries are signed again is unknown.
    timestamp: { at: header(timeHeader), unit: 'iso', pastSeconds: 3600 },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'Admin Center → Apps and integrations → Webhooks → your webhook → Reveal secret',
  }),
  // Signed for events only: a trigger's id is the invocation id, which is in an unsigned header.
  idIsSigned: false,
  body: { form: 'flat' },
  events: {
    id: firstOf(computed(eventId), header(invocationHeader)),
    // A trigger's body comes from your template: two updates of one ticket may have equal bodies.
    signedAt: header(timeHeader),
    topic: firstOf(json('type'), 'trigger'),
    occurredAt: { at: json('time'), unit: 'iso' },
  },
  headers: [invocationHeader, timeHeader, 'x-zendesk-webhook-id', 'x-zendesk-account-id'],
  retries:
    'Wants a 2xx within about 10 s; tries again after some errors, and stops for a while after many (70%, or 1,000 in 5 min).',
  sending: { headers: () => ({ [invocationHeader]: randomId('01').toUpperCase() }) },
  answers: 'unknown',
  samples: {
    'zen:event-type:ticket.created': (draft) => event(draft, { current: 'NEW' }),
    'zen:event-type:ticket.status_changed': (draft) => event(draft, { current: 'OPEN', previous: 'NEW' }),
    trigger: () => ({ ticket_id: randomNumber(12), status: 'open' }),
    '*': (draft) => event(draft, {}),
  },
};

/** Reads `id` only from an event: in a trigger's body, `id` may have any meaning, e.g. a ticket's number. */
function eventId(reading: Reading): string | undefined {
  return readText(json('zendesk_event_version'), reading) && readText(json('id'), reading);
}

function event({ topic, id, now }: SampleDraft, change: object): object {
  const ticket = String(randomNumber(12));
  return {
    account_id: 22129848,
    id,
    time: now.toISOString(),
    type: topic,
    zendesk_event_version: '2022-11-06',
    subject: `zen:ticket:${ticket}`,
    detail: { id: ticket, status: 'OPEN', subject: 'Ring', updated_at: now.toISOString() },
    event: change,
  };
}
