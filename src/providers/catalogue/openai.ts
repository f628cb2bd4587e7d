// OpenAI: Standard Webhooks.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { randomId, unixSeconds } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const openai = standardSender({
  name: 'openai',
  title: 'OpenAI',
  docsUrl: 'https://platform.openai.com/docs/guides/webhooks',
  facts:
    'Signature, types and fields L: npm openai, webhooks.unwrap and webhooks.d.ts. A signature without `v1,`, which it takes too, is refused here. Retries T: Hookdeck.',
  secret: { where: 'platform.openai.com → Settings → Project → Webhooks → your endpoint (shown once)' },
  occurredAt: { at: json('created_at'), unit: 's' },
  retries: 'Wants a 2xx; tries again with growing gaps for up to 72 h.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'response.completed': (draft) => event(draft, randomId('resp_')),
    'batch.completed': (draft) => event(draft, randomId('batch_')),
    'fine_tuning.job.succeeded': (draft) => event(draft, randomId('ftjob-')),
    '*': (draft) => event(draft, randomId()),
  },
});

function event({ topic, now }: SampleDraft, id: string): object {
  return { id: randomId('evt_'), object: 'event', created_at: unixSeconds(now), type: topic, data: { id } };
}
