// Stripe: `t=…,v1=…` over `t.body`; the id and the topic are in the signed body.

import type { Provider, SampleDraft } from '../provider.ts';
import { bearer, lastTextAt, listAt, type RecoverSpec } from '../recover.ts';
import { parseTimestamp } from '../schemes/freshness.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, item, json, type Reading, rawBody, timestamp } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId, unixSeconds } from './sample.ts';

// Newest first; a list that goes on after an id does not shift when events are added.
const recover: RecoverSpec = {
  key: 'restricted key (rk_…) with Events: Read',
  url: 'https://api.stripe.com',
  keptHours: 30 * 24,
  authorize: bearer,
  pull: {
    endpoint: 'GET /v1/events',
    page: ({ since, cursor }) => ({
      path: '/v1/events',
      query: {
        limit: '100',
        'created[gte]': unixSeconds(since).toString(),
        ...(cursor === undefined ? {} : { starting_after: cursor }),
      },
    }),
    read: ({ json: answer }) => {
      const items = listAt(answer, 'data');
      return { items, next: listAt(answer, 'has_more') === true ? lastTextAt(items, 'id') : undefined };
    },
  },
  lost: 'events of connected accounts and thin events (v2); the data is in the API version of the account',
};

export const stripe: Provider = {
  name: 'stripe',
  title: 'Stripe',
  docsUrl: 'https://docs.stripe.com/webhooks',
  facts:
    'List of events, its cursor and `created[gte]` L: npm stripe, events.list; 30 days D: docs.stripe.com, list all events. Signature L: npm stripe, webhooks.constructEvent. Id, type and created, in seconds or, of a thin event, as ISO time L: npm stripe, types of Event and V2.Core.Event. Retries M.',
  // v0 must never count. Stripe's own library accepts times in the future; Postbell does not.
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('stripe-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    timestamp: { at: item('t'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Signing secret',
    prefix: 'whsec_',
    where: 'Dashboard → Developers → Webhooks → your endpoint → Signing secret',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('type'), occurredAt: { at: computed(timeOf), unit: 'ms' } },
  retries: 'Wants a 2xx; tries again for up to about three days with growing gaps.',
  sending: { newId: () => randomId('evt_') },
  answers: { failure: { any: 'retried' } },
  redelivery: 'by API: List Events with delivery_success=false, for 30 days',
  recover,
  setup: { url: 'Workbench → Webhooks → your destination → Endpoint URL' },
  samples: {
    'payment_intent.succeeded': (draft) => event(draft, paymentIntent('succeeded')),
    'payment_intent.payment_failed': (draft) => event(draft, paymentIntent('requires_payment_method')),
    'charge.refunded': (draft) =>
      event(draft, {
        id: randomId('ch_'),
        object: 'charge',
        amount: 4200,
        amount_refunded: 4200,
        currency: 'eur',
        refunded: true,
        payment_intent: randomId('pi_'),
      }),
    'checkout.session.completed': (draft) =>
      event(draft, {
        id: randomId('cs_test_'),
        object: 'checkout.session',
        amount_total: 4200,
        currency: 'eur',
        customer_details: { email: 'ada@example.com', name: 'Ada Lovelace' },
        metadata: { order_id: '1001' },
        payment_intent: randomId('pi_'),
        payment_status: 'paid',
        status: 'complete',
      }),
    'invoice.paid': (draft) =>
      event(draft, {
        id: randomId('in_'),
        object: 'invoice',
        amount_paid: 1900,
        currency: 'eur',
        customer: randomId('cus_'),
        status: 'paid',
      }),
    'customer.subscription.updated': (draft) =>
      event(draft, {
        id: randomId('sub_'),
        object: 'subscription',
        customer: randomId('cus_'),
        status: 'active',
        cancel_at_period_end: false,
      }),
    'v2.core.account.updated': thinEvent,
    '*': (draft) => event(draft, { id: randomId('obj_'), object: draft.topic.split('.')[0] ?? 'object' }),
  },
};

function paymentIntent(status: string): object {
  return {
    id: randomId('pi_'),
    object: 'payment_intent',
    amount: 4200,
    amount_received: status === 'succeeded' ? 4200 : 0,
    currency: 'eur',
    customer: null,
    description: 'Order 1001',
    metadata: { order_id: '1001' },
    status,
  };
}

/** Seconds; an ISO time in a thin event, which names its object without its data. */
function timeOf(reading: Reading): string | undefined {
  const created = readText(json('created'), reading) ?? '';
  const ms = parseTimestamp(created, /^\d+$/.test(created) ? 's' : 'iso');
  return ms === undefined ? undefined : String(ms);
}

function thinEvent({ id, topic, now }: SampleDraft): object {
  const account = randomId('acct_');
  return {
    id,
    object: 'v2.core.event',
    type: topic,
    livemode: false,
    created: now.toISOString(),
    related_object: { id: account, type: 'v2.core.account', url: `/v2/core/accounts/${account}` },
    reason: null,
  };
}

function event({ id, topic, now }: SampleDraft, object: object): object {
  return {
    id,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: unixSeconds(now),
    data: { object },
    livemode: false,
    pending_webhooks: 1,
    request: { id: randomId('req_'), idempotency_key: null },
    type: topic,
  };
}
