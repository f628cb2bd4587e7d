// Render: Standard Webhooks; the handler reads the event through the API by its id.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const render = standardSender({
  name: 'render',
  title: 'Render',
  docsUrl: 'https://render.com/docs/webhooks',
  facts:
    "Signature, its headers and the form of the secret L: Render's own examples, render-examples on GitHub, which ask npm standardwebhooks. Type, timestamp and data L: the same. Retries: not found.",
  secret: { where: 'dashboard.render.com → Integrations → Webhooks → your webhook → Signing Secret' },
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries: 'Wants a 2xx; duration of retries unknown.',
  answers: 'unknown',
  samples: {
    deploy_ended: (draft) => event(draft, { status: 'succeeded' }),
    server_failed: (draft) => event(draft, {}),
    '*': (draft) => event(draft, {}),
  },
});

function event({ topic, now }: SampleDraft, data: object): object {
  return {
    type: topic,
    timestamp: now.toISOString(),
    data: { id: randomId('evt-'), serviceId: 'srv-1', serviceName: 'bell', ...data },
  };
}
