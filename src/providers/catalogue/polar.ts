// Polar: Standard Webhooks, with the whole secret as text for a key unless it begins with whsec_.
import { json } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { standardWebhooks } from '../schemes/standard-webhooks.ts';
import { isSigningToken } from '../secrets.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

const asText = standardSender({
  name: 'polar',
  title: 'Polar',
  docsUrl: 'https://docs.polar.sh/integrate/webhooks/delivery',
  facts:
    'Signature and both kinds of keys L: npm @polar-sh/sdk, webhooks.validateEvent. Type L, timestamp M. Retries unknown.',
  secret: {
    where: 'Settings → Webhooks → your endpoint → Secret',
    format: 'polar_whs_… (or one of your choice), used as text; whsec_… of base64',
  },
  key: 'text',
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries: 'Wants a 2xx; tries again with growing gaps.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'order.paid': (draft) => event(draft, { status: 'paid', total_amount: 4200, currency: 'eur' }),
    'subscription.active': (draft) => event(draft, { status: 'active' }),
    '*': (draft) => event(draft, {}),
  },
});

export const polar: Provider = {
  ...asText,
  scheme: perSecret(
    { when: (secret) => !isSigningToken(secret), scheme: asText.scheme },
    { scheme: standardWebhooks('webhook') },
  ),
};

function event({ topic, now }: SampleDraft, data: object): object {
  return { type: topic, timestamp: now.toISOString(), data: { id: randomId(), ...data } };
}
