// Seam: Standard Webhooks under the svix-… names; the type is `event_type`.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { standardSender } from './standard-family.ts';

export const seam = standardSender({
  name: 'seam',
  title: 'Seam',
  docsUrl: 'https://docs.seam.co/latest/developer-tools/webhooks',
  facts:
    'Signature and svix-… names L: npm @seamapi/webhook, SeamWebhook.verify. Body L: npm @seamapi/types. Retries are those of Svix M.',
  family: 'svix',
  secret: { where: 'console.seam.co → Developer → Webhooks → your webhook → Secret' },
  topic: json('event_type'),
  occurredAt: { at: json('occurred_at'), unit: 'iso' },
  retries: 'Wants a 2xx; tries again over about a day, as Svix does.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'device.connected': (draft) => event(draft, {}),
    'lock.unlocked': (draft) => event(draft, { method: 'keycode' }),
    'access_code.created': (draft) => event(draft, { access_code_id: crypto.randomUUID() }),
    '*': (draft) => event(draft, {}),
  },
});

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    event_id: crypto.randomUUID(),
    event_type: topic,
    workspace_id: '398d80b7-3f96-47c2-b85a-6f8ba21d07be',
    created_at: now.toISOString(),
    occurred_at: now.toISOString(),
    device_id: crypto.randomUUID(),
    connected_account_id: crypto.randomUUID(),
    ...more,
  };
}
