// Anthropic: Standard Webhooks; `type` is always `event`; `data.type` names the kind of event.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const anthropic = standardSender({
  name: 'anthropic',
  title: 'Anthropic',
  docsUrl: 'https://github.com/anthropics/anthropic-sdk-typescript/blob/main/src/resources/beta/webhooks.ts',
  facts:
    'Signature and body L: npm @anthropic-ai/sdk, beta.webhooks.unwrap and webhooks.d.ts. Retries unknown.',
  secret: { where: 'Console → Settings → Webhooks → your endpoint → Signing secret' },
  topic: json('data.type'),
  occurredAt: { at: json('created_at'), unit: 'iso' },
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    'session.created': (draft) => event(draft, randomId('session_')),
    'session.status_idled': (draft) => event(draft, randomId('session_')),
    'agent.updated': (draft) => event(draft, randomId('agent_')),
    '*': (draft) => event(draft, randomId()),
  },
});

function event({ topic, now }: SampleDraft, id: string): object {
  return {
    id: randomId('event_'),
    type: 'event',
    created_at: now.toISOString(),
    data: { id, type: topic, organization_id: crypto.randomUUID(), workspace_id: randomId('wrkspc_') },
  };
}
