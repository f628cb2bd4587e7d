// Whop: Standard Webhooks, with the characters of the whole secret for a key.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const whop = standardSender({
  name: 'whop',
  title: 'Whop',
  docsUrl: 'https://docs.whop.com/developer/guides/webhooks',
  facts:
    'Signature, id, type and timestamp L: npm @whop/sdk, webhooks.unwrap. That its key is the secret as text (the docs encode it in base64 first, the library decodes it) and retries D: docs.whop.com, webhooks.',
  secret: {
    where: 'whop.com/dashboard/developer → your webhook (API version v1) → Secret',
    format: 'ws_…, used as text',
  },
  key: 'text',
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries:
    'Wants a 2xx; tries again after 10, 20 and 40 s, then never: your endpoint loses events in a longer outage.',
  answers: 'unknown',
  samples: {
    'payment.succeeded': (draft) => event(draft, { status: 'paid', total: 42, currency: 'usd' }),
    'membership.activated': (draft) => event(draft, { status: 'active' }),
    '*': (draft) => event(draft, {}),
  },
});

function event({ topic, now }: SampleDraft, data: object): object {
  return {
    id: randomId('msg_'),
    api_version: 'v1',
    type: topic,
    timestamp: now.toISOString(),
    data: { id: randomId('pay_'), ...data },
    company_id: 'biz_trial',
  };
}
