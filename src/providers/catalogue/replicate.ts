// Replicate: Standard Webhooks; the body is the prediction itself, so its status is the topic.

import type { SampleDraft } from '../provider.ts';
import { firstOf, json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const replicate = standardSender({
  name: 'replicate',
  title: 'Replicate',
  docsUrl: 'https://replicate.com/docs/topics/webhooks/verify-webhook',
  facts:
    'Signature L: npm replicate, validateWebhook (which does not check the age). Body, statuses and retries D: replicate.com/docs, receive webhooks. One secret for all webhooks of an account T: Trigger.dev.',
  secret: { where: 'From the API: GET /v1/webhooks/default/secret' },
  topic: json('status'),
  occurredAt: {
    at: firstOf(json('completed_at'), json('started_at'), json('created_at')),
    unit: 'iso',
  },
  retries: 'Wants a 2xx within a few seconds; may try again. Outputs and logs come at most every 500 ms.',
  answers: 'unknown',
  samples: {
    succeeded: (draft) => prediction(draft, { output: ['ring'], completed_at: draft.now.toISOString() }),
    failed: (draft) =>
      prediction(draft, { error: 'CUDA out of memory', completed_at: draft.now.toISOString() }),
    processing: (draft) => prediction(draft, {}),
    '*': (draft) => prediction(draft, {}),
  },
});

function prediction({ topic, now }: SampleDraft, more: object): object {
  return {
    id: randomId(),
    version: '5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa',
    created_at: now.toISOString(),
    started_at: now.toISOString(),
    completed_at: null,
    status: topic,
    input: { text: 'Alice' },
    output: null,
    error: null,
    logs: '',
    metrics: {},
    ...more,
  };
}
