// Chargebee: nothing is signed; user name and password of your choice come as basic auth.

import type { Provider, SampleDraft } from '../provider.ts';
import { listAt, type RecoverSpec, textAt } from '../recover.ts';
import { json } from '../template/parts.ts';
import { basicAuth } from './basic-auth.ts';
import { randomId, unixSeconds } from './sample.ts';

const recover: RecoverSpec = {
  key: 'read-only API key of your site',
  keptHours: 90 * 24,
  authorize: (key) => ({ authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` }),
  pull: {
    endpoint: 'GET /api/v2/events',
    page: ({ since, until, cursor }) => ({
      path: '/api/v2/events',
      query: {
        limit: '100',
        'sort_by[asc]': 'occurred_at',
        'occurred_at[between]': `[${unixSeconds(since)},${unixSeconds(until)}]`,
        ...(cursor === undefined ? {} : { offset: cursor }),
      },
    }),
    read: ({ json: answer }) => ({ items: listAt(answer, 'list'), next: textAt(answer, 'next_offset') }),
    body: (item) => listAt(item, 'event'),
  },
  lost: 'nothing of the last 90 days; the data is as the API version of the site shows it',
};

export const chargebee: Provider = {
  name: 'chargebee',
  title: 'Chargebee',
  docsUrl: 'https://www.chargebee.com/docs/2.0/webhook_settings.html',
  facts:
    'List of events, its filters, order and offset L: npm chargebee, event.list, and its retention of 90 days D: chargebee.com. Basic auth, body, id and retries T: hookdeck/webhook-skills, chargebee. Basic auth L as well: npm chargebee, its handler.',
  ...basicAuth(
    'Chosen by you: Settings → Configure Chargebee → Webhooks → Protect webhook URL with basic authentication',
  ),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('event_type'),
    occurredAt: { at: json('occurred_at'), unit: 's' },
  },
  retries: 'Wants a 2xx within 20 s; 7 retries, 2 minutes to 2 days apart.',
  sending: { newId: () => randomId('ev_') },
  answers: { failure: { '5xx': 'retried' } },
  recover,
  samples: {
    subscription_created: (draft) => event(draft, { subscription: subscription('active') }),
    subscription_cancelled: (draft) => event(draft, { subscription: subscription('cancelled') }),
    payment_succeeded: (draft) =>
      event(draft, {
        transaction: { id: randomId('txn_'), amount: 4200, currency_code: 'EUR', status: 'success' },
      }),
    '*': (draft) => event(draft, { customer: { id: randomId(), email: 'ada@example.com' } }),
  },
};

function subscription(status: string): object {
  return { id: randomId(), customer_id: randomId(), status, object: 'subscription' };
}

function event({ topic, id, now }: SampleDraft, content: object): object {
  return {
    id,
    occurred_at: unixSeconds(now),
    source: 'admin_console',
    object: 'event',
    api_version: 'v2',
    event_type: topic,
    content,
  };
}
