// Dodo Payments: Standard Webhooks; the data is read at the time of sending, so a retry may differ.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const dodopayments = standardSender({
  name: 'dodopayments',
  title: 'Dodo Payments',
  docsUrl: 'https://docs.dodopayments.com/developer-resources/webhooks',
  facts:
    'Signature, type and timestamp (of the event, not of the delivery) L: npm dodopayments. Retries unknown.',
  secret: { where: 'Dashboard → Developer → Webhooks → your endpoint → Signing key' },
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    'payment.succeeded': (draft) => event(draft, { payload_type: 'Payment', payment_id: randomId('pay_') }),
    'subscription.active': (draft) =>
      event(draft, { payload_type: 'Subscription', subscription_id: randomId('sub_') }),
    '*': (draft) => event(draft, { payload_type: 'Payment' }),
  },
});

function event({ topic, now }: SampleDraft, data: object): object {
  return { business_id: 'bus_1', type: topic, timestamp: now.toISOString(), data };
}
