// Paystack: hex HMAC-SHA512 over the body with the API secret key.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId, randomNumber } from './sample.ts';

export const paystack: Provider = {
  name: 'paystack',
  title: 'Paystack',
  docsUrl: 'https://paystack.com/docs/payments/webhooks/',
  facts:
    'Signature T: paystack-webhook on PyPI and two further implementations that agree. No id is sent: one transaction has several events of one name (charge.dispute.remind), so the id is the hash of the body.',
  scheme: hmac({
    hash: 'sha512',
    message: rawBody,
    signature: { at: header('x-paystack-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Secret key',
    prefix: 'sk_',
    where: 'Dashboard → Settings → API Keys & Webhooks → Secret key (live and test differ)',
  }),
  idIsSigned: true,
  events: {
    topic: json('event'),
    occurredAt: { at: json('data.paid_at'), unit: 'iso' },
  },
  retries: 'Wants 200; tries again every 3 minutes, then hourly, for up to 72 h.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'charge.success': (draft) => event(draft, charge(draft.now)),
    'transfer.success': (draft) =>
      event(draft, {
        id: randomNumber(9),
        amount: 4200,
        currency: 'NGN',
        reference: randomId(),
        status: 'success',
        transfer_code: randomId('TRF_'),
      }),
    '*': (draft) => event(draft, { id: randomNumber(9), domain: 'test' }),
  },
};

function charge(now: Date): object {
  return {
    id: randomNumber(10),
    domain: 'test',
    status: 'success',
    reference: randomId(),
    amount: 4200,
    currency: 'NGN',
    channel: 'card',
    gateway_response: 'Approved',
    paid_at: now.toISOString(),
    created_at: now.toISOString(),
    customer: { id: randomNumber(8), email: 'ada@example.com', customer_code: randomId('CUS_') },
  };
}

function event({ topic }: SampleDraft, data: object): object {
  return { event: topic, data };
}
