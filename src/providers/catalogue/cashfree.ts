// Cashfree: base64 HMAC over `timestamp body`; no id is sent.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const cashfree: Provider = {
  name: 'cashfree',
  title: 'Cashfree Payments',
  docsUrl: 'https://www.cashfree.com/docs/payments/online/webhooks/overview',
  facts:
    'Signature and type L: npm cashfree-pg, PGVerifyWebhookSignature. Milliseconds T. event_time M. Retries unknown.',
  scheme: hmac({
    message: [timestamp, rawBody],
    signature: { at: header('x-webhook-signature'), encoding: 'base64' },
    // Cashfree's library does not check the age, and whether retries are signed again is unknown. The id is the body's
    // hash, so an old delivery is a duplicate.
    timestamp: { at: header('x-webhook-timestamp'), unit: 'ms', pastSeconds: 24 * 3600 },
  }),
  secret: textSecret({
    label: 'Client secret',
    where: 'Merchant Dashboard → Developers → API Keys → Secret key',
  }),
  idIsSigned: true,
  events: { topic: json('type'), occurredAt: { at: json('event_time'), unit: 'iso' } },
  headers: ['x-webhook-timestamp', 'x-webhook-version'],
  retries: 'Wants 200; tries again, schedule unknown.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    PAYMENT_SUCCESS_WEBHOOK: (draft) => event(draft, 'SUCCESS'),
    PAYMENT_FAILED_WEBHOOK: (draft) => event(draft, 'FAILED'),
    '*': (draft) => event(draft, 'PENDING'),
  },
};

function event({ topic, now }: SampleDraft, status: string): object {
  return {
    data: {
      order: { order_id: randomId('order_'), order_amount: 42.5, order_currency: 'INR' },
      payment: { cf_payment_id: String(randomNumber(10)), payment_status: status, payment_amount: 42.5 },
      customer_details: { customer_email: 'ada@example.com' },
    },
    event_time: now.toISOString(),
    type: topic,
  };
}
