// Coinbase Commerce: hex HMAC over the body; the event in the body keeps its id; the id of the envelope counts the attempts.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const coinbaseCommerce: Provider = {
  name: 'coinbase-commerce',
  title: 'Coinbase Commerce',
  docsUrl: 'https://docs.cdp.coinbase.com/commerce/api-arcitecture/webhooks-overview',
  facts:
    'Signature L: npm coinbase-commerce-node. Envelope, attempt number, event types and retries D: docs.cdp.coinbase.com/commerce. Other Coinbase products sign in other ways.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-cc-webhook-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook shared secret',
    where: 'Settings → Notifications → Webhook shared secret',
  }),
  idIsSigned: true,
  events: {
    id: json('event.id'),
    topic: json('event.type'),
    occurredAt: { at: json('event.created_at'), unit: 'iso' },
  },
  retries: 'Wants 200; tries again for up to three days, at most an hour apart.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'charge:confirmed': (draft) => event(draft, 'COMPLETED'),
    'charge:pending': (draft) => event(draft, 'PENDING'),
    '*': (draft) => event(draft, 'NEW'),
  },
};

function event({ topic, id, now }: SampleDraft, status: string): object {
  const time = now.toISOString();
  return {
    id: crypto.randomUUID(),
    scheduled_for: time,
    attempt_number: 1,
    event: {
      id,
      resource: 'event',
      type: topic,
      api_version: '2018-03-22',
      created_at: time,
      data: {
        id: crypto.randomUUID(),
        code: randomId().slice(0, 8).toUpperCase(),
        pricing: { local: { amount: '42.00', currency: 'EUR' } },
        metadata: { order_id: '1001' },
        timeline: [{ time, status }],
      },
    },
  };
}
