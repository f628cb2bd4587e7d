// Square: base64 HMAC over the notification URL and the body.

import type { Provider, SampleDraft } from '../provider.ts';
import { bearer, listAt, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, url } from '../template/parts.ts';
import { randomId } from './sample.ts';

const recover: RecoverSpec = {
  key: 'personal access token of your application (not an OAuth token)',
  url: 'https://connect.squareup.com',
  keptHours: 28 * 24,
  authorize: (key) => ({ ...bearer(key), 'square-version': '2026-09-16' }),
  pull: {
    endpoint: 'POST /v2/events',
    page: ({ since, until, cursor }) => ({
      method: 'POST',
      path: '/v2/events',
      body: {
        limit: 100,
        query: {
          filter: { created_at: { start_at: since.toISOString(), end_at: until.toISOString() } },
          sort: { field: 'DEFAULT', order: 'ASC' },
        },
        ...(cursor === undefined ? {} : { cursor }),
      },
    }),
    // Without a match the answer has no list.
    read: ({ json: answer }) => ({ items: listAt(answer, 'events') ?? [], next: textAt(answer, 'cursor') }),
  },
  lost: 'events of the time before the events API was enabled (PUT /v2/events/enable), and while it was not',
};

export const square: Provider = {
  name: 'square',
  title: 'Square',
  docsUrl: 'https://developer.squareup.com/docs/webhooks/step3validate',
  facts:
    'Search of events L: npm square, events.searchEvents; 28 days, token and enabling D: developer.squareup.com, events API. Signature L: npm square, WebhooksHelper.verifySignature. Event id and retries M.',
  // Square may also send x-square-signature (SHA-1), which must not count.
  scheme: hmac({
    message: [url, rawBody],
    signature: { at: header('x-square-hmacsha256-signature'), encoding: 'base64' },
  }),
  secret: textSecret({
    label: 'Signature key',
    where: 'developer.squareup.com → your application → Webhooks → Subscriptions → Signature key',
  }),
  idIsSigned: true,
  events: { id: json('event_id'), topic: json('type'), occurredAt: { at: json('created_at'), unit: 'iso' } },
  headers: ['square-environment', 'square-retry-number', 'square-retry-reason'],
  retries: 'Wants a 2xx within 10 s; tries again for up to 24 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  recover,
  samples: {
    'payment.updated': (draft) =>
      event(draft, 'payment', { status: 'COMPLETED', amount_money: { amount: 4200, currency: 'EUR' } }),
    'order.created': (draft) => event(draft, 'order_created', { state: 'OPEN', version: 1 }),
    'refund.updated': (draft) =>
      event(draft, 'refund', { status: 'COMPLETED', amount_money: { amount: 4200, currency: 'EUR' } }),
    '*': (draft) => event(draft, draft.topic.split('.')[0] ?? 'object', {}),
  },
};

function event({ topic, id, now }: SampleDraft, kind: string, object: object): object {
  const objectId = randomId();
  return {
    merchant_id: 'MLEFBHHSJGVHD',
    type: topic,
    event_id: id,
    created_at: now.toISOString(),
    data: { type: kind, id: objectId, object: { [kind]: { id: objectId, ...object } } },
  };
}
