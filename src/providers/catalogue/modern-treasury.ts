// Modern Treasury: hex HMAC over the body; no id is known, so the body's hash is the id.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';

export const modernTreasury: Provider = {
  name: 'modern-treasury',
  title: 'Modern Treasury',
  docsUrl: 'https://docs.moderntreasury.com/platform/reference/webhooks',
  facts: 'Signature L: npm modern-treasury, webhooks.validateSignature. Body and headers M. Retries unknown.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook key',
    where: 'app.moderntreasury.com → Developers → Webhooks → your webhook → Webhook key',
  }),
  idIsSigned: true,
  events: {
    topic: [json('data.object'), '.', json('event')],
    occurredAt: { at: json('data.updated_at'), unit: 'iso' },
  },
  headers: ['x-topic', 'x-event'],
  retries: 'Wants a 2xx; schedule unknown.',
  sending: {
    headers: ({ topic }) => ({
      'x-topic': topic.split('.')[0] ?? topic,
      'x-event': topic.split('.')[1] ?? '',
    }),
  },
  answers: 'unknown',
  samples: {
    'payment_order.completed': (draft) =>
      event(draft, { amount: 4200, currency: 'EUR', direction: 'credit' }),
    'transaction.created': (draft) => event(draft, { amount: 4200, currency: 'EUR' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, data: object): object {
  const [object, name] = topic.split('.');
  return {
    event: name,
    data: { id: crypto.randomUUID(), object, live_mode: false, updated_at: now.toISOString(), ...data },
  };
}
