// Kontent.ai: base64 HMAC over the body, a batch of notifications without ids.
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { arrival, header, json, optional, rawBody } from '../template/parts.ts';

export const kontentAi: Provider = {
  name: 'kontent-ai',
  title: 'Kontent.ai',
  docsUrl: 'https://kontent.ai/learn/docs/webhooks/webhooks/javascript',
  facts:
    'Signature L: npm @kontent-ai/webhook-helper. Header, base64, fields, batches and order D: kontent.ai/learn, webhooks. Legacy webhooks (X-KC-Signature, deprecated in 2024) are left out. Whether publishing changes last_modified is not documented. Retry schedule unknown.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-kontent-ai-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Secret',
    where: 'Environment settings → Webhooks → your webhook → Settings → Secret',
  }),
  idIsSigned: true,
  events: {
    // Publishing, unpublishing and publishing again may send equal notifications, so the time of arrival is the id.
    id: [
      arrival,
      ':',
      json('message.object_type'),
      '.',
      json('message.action'),
      ':',
      json('data.system.id'),
      optional(':', json('data.system.language')),
      optional(':', json('message.delivery_slot')),
    ],
    idPerDelivery: true,
    topic: [json('message.object_type'), '.', json('message.action')],
    occurredAt: { at: json('data.system.last_modified'), unit: 'iso' },
    items: (body) => valueAt(body, ['notifications']),
  },
  retries: 'Wants a 2xx; tries again. A repeated delivery looks like a second change.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'content_item.published': (draft) => batch(draft, [contentItem('en'), contentItem('de')]),
    'asset.created': (draft) => batch(draft, [{}]),
    'taxonomy.term_changed': (draft) => batch(draft, [{}]),
    '*': (draft) => batch(draft, [{}]),
  },
};

function contentItem(language: string): object {
  return {
    collection: 'default',
    workflow: 'default',
    workflow_step: 'published',
    language,
    type: 'article',
  };
}

function batch({ topic, now }: SampleDraft, systems: readonly object[]): object {
  const [objectType, action] = topic.split('.');
  return {
    notifications: systems.map((system) => ({
      data: {
        system: {
          id: crypto.randomUUID(),
          name: 'The bell',
          codename: 'the_bell',
          ...system,
          last_modified: now.toISOString(),
        },
      },
      message: {
        environment_id: 'a1b2c3d4-0000-4000-8000-000000000000',
        object_type: objectType,
        action,
        delivery_slot: 'published',
      },
    })),
  };
}
