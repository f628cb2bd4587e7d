// Paddle Billing: `ts=…;h1=…` over `ts:body`; the event id is in the signed body.

import type { Provider, SampleDraft } from '../provider.ts';
import { bearer, listAt, nextUrlParam, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const nextAfter = (answer: unknown): string | undefined =>
  listAt(answer, 'meta.pagination.has_more') === true
    ? nextUrlParam(textAt(answer, 'meta.pagination.next'), 'after')
    : undefined;

// Ids are in order of time, and a list that goes on after an id does not shift when events are added.
const recover: RecoverSpec = {
  key: 'API key with Notifications: Read and Write (a source without secret: Events: Read)',
  url: 'https://api.paddle.com',
  wants: {
    setting: 'ENDPOINT',
    example: 'the id of your notification destination, ntfset_…',
    pattern: /^ntfset_\w+$/,
    onlyToSendAgain: true,
  },
  keptHours: 90 * 24,
  authorize: bearer,
  redeliver: {
    endpoint: 'GET /notifications, POST /notifications/{id}/replay',
    page: ({ since, until, cursor, wanted }) => ({
      path: '/notifications',
      query: {
        notification_setting_id: wanted,
        per_page: '200',
        order_by: 'id[DESC]',
        from: since.toISOString(),
        to: until.toISOString(),
        ...(cursor === undefined ? {} : { after: cursor }),
      },
    }),
    read: ({ json: answer }) => ({ items: listAt(answer, 'data'), next: nextAfter(answer) }),
    delivery: (item) => {
      const [id, eventId] = [textAt(item, 'id'), textAt(item, 'payload.event_id')];
      // A replay cannot be replayed, and Paddle is still trying the others.
      const canReplay =
        textAt(item, 'origin') === 'event' && ['delivered', 'failed'].includes(textAt(item, 'status') ?? '');
      return canReplay && id !== undefined && eventId !== undefined ? { id, eventIds: [eventId] } : undefined;
    },
    // Not last_attempt_at: the list is asked by this time, and a skipped notification must be in the next run's stretch.
    sentAt: (item) => textAt(item, 'occurred_at'),
    again: (id) => ({ method: 'POST', path: `/notifications/${encodeURIComponent(id)}/replay` }),
  },
  pull: {
    endpoint: 'GET /events',
    page: ({ cursor }) => ({
      path: '/events',
      query: { per_page: '200', order_by: 'id[DESC]', ...(cursor === undefined ? {} : { after: cursor }) },
    }),
    read: ({ json: answer }) => ({ items: listAt(answer, 'data'), next: nextAfter(answer) }),
    timeOf: (item) => textAt(item, 'occurred_at'),
  },
  lost: 'nothing; a pulled event has no notification_id',
};

export const paddle: Provider = {
  name: 'paddle',
  title: 'Paddle Billing',
  docsUrl: 'https://developer.paddle.com/webhooks/about/signature-verification',
  facts:
    'Lists, their filters, occurred_at and replay L: npm @paddle/paddle-node-sdk, notifications and events; 90 days D: developer.paddle.com, changelog. Signature L: npm @paddle/paddle-node-sdk. event_id as the key against duplicates and occurred_at D: developer.paddle.com, how webhooks work. Deadline and retries T: Hookdeck. Replay D: replay a notification.',
  // Paddle's library allows only 5 s and checks only the last h1: a slow proxy or a secret rotation would lose deliveries.
  scheme: hmac({
    message: [timestamp, ':', rawBody],
    signature: { at: header('paddle-signature'), encoding: 'hex', separator: ';', prefix: 'h1=' },
    timestamp: { at: item('ts'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Secret key',
    prefix: 'pdl_ntfset_',
    where: 'Developer Tools → Notifications → your destination → Edit → Secret key',
  }),
  idIsSigned: true,
  events: {
    // notification_id differs per destination and per replay; event_id stays the same.
    id: json('event_id'),
    topic: json('event_type'),
    occurredAt: { at: json('occurred_at'), unit: 'iso' },
  },
  retries: 'Wants a 2xx within 5 s; 60 retries over 3 days (sandbox: 3 within 15 minutes).',
  sending: { newId: () => randomId('evt_') },
  answers: { failure: { '5xx': 'retried' } },
  recover,
  redelivery: 'by API (POST /notifications/{id}/replay), for 90 days',
  samples: {
    'transaction.completed': (draft) =>
      event(draft, {
        id: randomId('txn_'),
        status: 'completed',
        customer_id: randomId('ctm_'),
        currency_code: 'EUR',
        details: { totals: { total: '4200', tax: '670', currency_code: 'EUR' } },
      }),
    'subscription.activated': (draft) => event(draft, subscription('active')),
    'subscription.canceled': (draft) => event(draft, subscription('canceled')),
    '*': (draft) => event(draft, { id: randomId(), status: 'active' }),
  },
};

function subscription(status: string): object {
  return {
    id: randomId('sub_'),
    status,
    customer_id: randomId('ctm_'),
    currency_code: 'EUR',
    items: [{ status, quantity: 1, price: { id: randomId('pri_') } }],
  };
}

function event({ topic, id, now }: SampleDraft, data: object): object {
  return {
    event_id: id,
    event_type: topic,
    occurred_at: now.toISOString(),
    notification_id: randomId('ntf_'),
    data,
  };
}
