// Razorpay: hex HMAC over the body; the event id is in an unsigned header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';

export const razorpay: Provider = {
  name: 'razorpay',
  title: 'Razorpay',
  docsUrl: 'https://razorpay.com/docs/webhooks/validate-test/',
  facts:
    'Signature L: npm razorpay, validateWebhookSignature. Event id kept over retries, deadline and retries D: razorpay.com/docs/webhooks/best-practices.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-razorpay-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'Dashboard → Account & Settings → Webhooks → your webhook → Secret (not the API key secret)',
  }),
  idIsSigned: false,
  events: {
    id: header('x-razorpay-event-id'),
    topic: json('event'),
    occurredAt: { at: json('created_at'), unit: 's' },
  },
  headers: ['x-razorpay-event-id'],
  retries:
    'Wants a 2xx within 5 s; tries again with growing gaps for 24 h, then switches the webhook off. Replay by hand for 7 days.',
  sending: { newId: () => randomId(), headers: ({ id }) => ({ 'x-razorpay-event-id': id }) },
  answers: { failure: { '5xx': 'retried' } },
  redelivery: 'by hand in the Dashboard, for 7 days',
  samples: {
    'payment.captured': (draft) => event(draft, { payment: { entity: payment('captured', draft.now) } }),
    'payment.failed': (draft) => event(draft, { payment: { entity: payment('failed', draft.now) } }),
    'order.paid': (draft) =>
      event(draft, {
        payment: { entity: payment('captured', draft.now) },
        order: { entity: { id: randomId('order_'), entity: 'order', amount: 4200, status: 'paid' } },
      }),
    '*': (draft) => event(draft, {}),
  },
};

function payment(status: string, now: Date): object {
  return {
    id: randomId('pay_'),
    entity: 'payment',
    amount: 4200,
    currency: 'INR',
    status,
    order_id: randomId('order_'),
    method: 'upi',
    email: 'ada@example.com',
    notes: [],
    created_at: unixSeconds(now),
  };
}

function event({ topic, now }: SampleDraft, payload: object): object {
  return {
    entity: 'event',
    account_id: randomId('acc_'),
    event: topic,
    contains: Object.keys(payload),
    payload,
    created_at: unixSeconds(now),
  };
}
