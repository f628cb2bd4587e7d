// Checkout.com: hex HMAC over the body; the event id is in it.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const checkoutCom: Provider = {
  name: 'checkout-com',
  title: 'Checkout.com',
  docsUrl: 'https://www.checkout.com/docs/workflows/set-up-your-webhook-receiver',
  facts:
    'Signature, id, type and timestamp D: checkout.com/docs/workflows, set up your webhook receiver and webhook event types. Resending D: checkout.com/docs/workflows, retrigger events. That the id is kept over retries M.',
  scheme: hmac({ message: rawBody, signature: { at: header('cko-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Signature key',
    where: 'Dashboard → Developers → Webhooks (or Workflows) → your webhook → Signature key',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: firstOf(json('timestamp'), json('created_on')), unit: 'iso' },
  },
  retries: 'Wants a 2xx; tries again, schedule unknown.',
  sending: { newId: () => randomId('evt_') },
  answers: { failure: { '5xx': 'retried' } },
  redelivery: 'in the Dashboard or by API, for 90 days',
  samples: {
    payment_approved: (draft) => event(draft),
    payment_captured: (draft) => event(draft),
    payment_refunded: (draft) => event(draft),
    '*': (draft) => event(draft),
  },
};

function event({ topic, id, now }: SampleDraft): object {
  return {
    id,
    source: 'gateway',
    type: topic,
    timestamp: now.toISOString(),
    version: '1.0.9',
    data: {
      action_id: randomId('act_'),
      id: randomId('pay_'),
      reference: 'ORD-1001',
      amount: 4200,
      currency: 'EUR',
      processed_on: now.toISOString(),
    },
  };
}
