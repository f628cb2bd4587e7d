// BigCommerce: Standard Webhooks with the app's client secret, as text, for a key; bodies only name what changed.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const bigcommerce = standardSender({
  name: 'bigcommerce',
  title: 'BigCommerce',
  docsUrl: 'https://developer.bigcommerce.com/docs/integrations/webhooks',
  facts:
    'Signature D: developer.bigcommerce.com (older pages call it unsigned, machine-written ones name X-BC-Signature), which encodes the client secret in base64 before it hands it to the Standard Webhooks library, so that the text is the key. Body and retries D: bigcommerce/docs, https-webhook-overview.',
  secret: {
    label: 'Client secret',
    where: 'Developer portal → your app → View Client ID → Client secret (of the app that made the webhook)',
  },
  key: 'text',
  topic: json('scope'),
  occurredAt: { at: json('created_at'), unit: 's' },
  retries:
    'Wants 200; 11 retries over 48 h, then the webhook is switched off; below 90% of success in 2 min all webhooks of the domain pause for 3 min.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'store/order/created': (draft) => thin(draft, { type: 'order', id: randomNumber(5) }),
    'store/product/updated': (draft) => thin(draft, { type: 'product', id: randomNumber(5) }),
    'store/cart/abandoned': (draft) => thin(draft, { type: 'cart', id: crypto.randomUUID() }),
    '*': (draft) => thin(draft, { type: 'store', id: randomNumber(5) }),
  },
});

function thin({ topic, now }: SampleDraft, data: object): object {
  return {
    scope: topic,
    store_id: '1025646',
    data,
    hash: randomId(),
    created_at: unixSeconds(now),
    producer: 'stores/abcde',
  };
}
