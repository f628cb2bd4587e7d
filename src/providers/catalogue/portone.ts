// PortOne (V2): Standard Webhooks; the body's timestamp is the event's and stays over retries.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const portone = standardSender({
  name: 'portone',
  title: 'PortOne (V2)',
  docsUrl: 'https://developers.portone.io/opi/ko/integration/webhook/readme-v2',
  facts:
    'Signature, type and timestamp L: npm @portone/server-sdk, webhook.verify and its types. V1 is unsigned.',
  secret: { where: 'Console → Integration → Webhook → Webhook secret' },
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries: 'Wants a 2xx; tries again, with the same time in the body.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'Transaction.Paid': (draft) => event(draft),
    'Transaction.Cancelled': (draft) => event(draft),
    '*': (draft) => event(draft),
  },
});

function event({ topic, now }: SampleDraft): object {
  return {
    type: topic,
    timestamp: now.toISOString(),
    data: { storeId: randomId('store-'), paymentId: randomId('payment-'), transactionId: randomId() },
  };
}
