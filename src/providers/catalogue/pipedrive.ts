// Pipedrive webhooks v2: nothing is signed; user name and password of your choice come as basic auth.

import type { Provider, SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { basicAuth } from './basic-auth.ts';
import { randomId, randomNumber } from './sample.ts';

export const pipedrive: Provider = {
  name: 'pipedrive',
  title: 'Pipedrive (webhooks v2)',
  docsUrl: 'https://pipedrive.readme.io/docs/guide-for-webhooks-v2',
  facts:
    'Basic auth, meta and its id, retries, ban and deletion D: pipedrive.readme.io, guide for webhooks v2. A merge sends two webhooks D: migration guide; whether they share an id is not documented, so the object and the action are part of it. V1 has no event id: its bodies are known by their hash.',
  ...basicAuth(
    'Chosen by you: Pipedrive → Tools and apps → Webhooks → your webhook → HTTP Auth username and password',
  ),
  idIsSigned: true,
  events: {
    id: [json('meta.entity'), ':', json('meta.entity_id'), ':', json('meta.action'), ':', json('meta.id')],
    topic: [json('meta.entity'), '.', json('meta.action')],
    occurredAt: { at: json('meta.timestamp'), unit: 'iso' },
  },
  retries:
    'Wants a 2xx within 10 s; 3 more tries after 3, 30 and 150 s. After 10 failures all events of the next 30 min are lost; 3 days without success delete the webhook.',
  answers: { failure: { any: 'retried' } },
  setup: { url: 'Pipedrive → Tools and apps → Webhooks → Create new webhook → Endpoint URL' },
  samples: {
    'deal.change': (draft) => event(draft, { title: 'Bells', status: 'won', value: 500, currency: 'EUR' }),
    'person.create': (draft) => event(draft, { name: 'Ada' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, data: object): object {
  const [entity, action = ''] = topic.split('.');
  const entityId = randomNumber(5);
  return {
    meta: {
      action,
      entity,
      company_id: '1234567',
      correlation_id: crypto.randomUUID(),
      entity_id: String(entityId),
      id: crypto.randomUUID(),
      is_bulk_edit: false,
      timestamp: now.toISOString(),
      type: 'general',
      user_id: '12345',
      version: '2.0',
      webhook_id: randomId(),
      change_source: 'app',
      attempt: 1,
      host: 'bells.pipedrive.com',
    },
    data: { id: entityId, ...data },
    previous: null,
  };
}
