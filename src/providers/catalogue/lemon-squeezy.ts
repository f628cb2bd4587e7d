// Lemon Squeezy: hex HMAC over a JSON:API body that names its event but has no event id.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const lemonSqueezy: Provider = {
  name: 'lemon-squeezy',
  title: 'Lemon Squeezy',
  docsUrl: 'https://docs.lemonsqueezy.com/help/webhooks/signing-requests',
  facts:
    'Signature, header, event name and retries D: docs.lemonsqueezy.com, signing requests and webhook requests; SHA-256 T. No event id is documented.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Signing secret',
    format: 'text of your choice; Lemon Squeezy takes 6 to 40 characters, use 16 or more',
    where: 'Chosen by you: Settings → Webhooks → your webhook → Signing secret',
  }),
  idIsSigned: true,
  events: {
    topic: firstOf(json('meta.event_name'), header('x-event-name')),
    occurredAt: { at: json('data.attributes.updated_at'), unit: 'iso' },
  },
  headers: ['x-event-name'],
  retries: 'Wants exactly 200; three retries after about 5, 25 and 125 s.',
  sending: { headers: ({ topic }) => ({ 'x-event-name': topic }) },
  answers: { success: [200], failure: { any: 'retried' } },
  samples: {
    order_created: (draft) =>
      resource(draft, 'orders', {
        identifier: crypto.randomUUID(),
        user_email: 'ada@example.com',
        currency: 'EUR',
        total: 4200,
        status: 'paid',
      }),
    subscription_updated: (draft) => resource(draft, 'subscriptions', { status: 'active' }),
    license_key_created: (draft) => resource(draft, 'license-keys', { status: 'inactive' }),
    '*': (draft) => resource(draft, 'orders', { status: 'paid' }),
  },
};

function resource({ topic, now }: SampleDraft, type: string, attributes: object): object {
  return {
    meta: { test_mode: true, event_name: topic, custom_data: { order_id: '1001' } },
    data: {
      type,
      id: String(randomNumber(12)),
      attributes: {
        store_id: 1,
        ...attributes,
        created_at: now.toISOString(),
        updated_at: now.toISOString(),
      },
    },
  };
}
