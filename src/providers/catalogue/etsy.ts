// Etsy: Standard Webhooks; an event of three fields; the handler reads the rest at `resource_url`.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomNumber } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const etsy = standardSender({
  name: 'etsy',
  title: 'Etsy',
  docsUrl: 'https://developers.etsy.com/documentation/essentials/webhooks',
  facts:
    'Signature in webhook-… headers, event_type, resource_url and shop_id, commercial apps only D: the page above, and etsy/open-api, discussions 1509 and 1564 (the flat body). The event bears no time. That the portal is run by Svix T, so its retries may be those: see svix.',
  secret: {
    where: 'etsy.com/developers → Manage your apps → Go to Webhook portal → your endpoint → Signing Secret',
  },
  topic: json('event_type'),
  retries: 'Wants a 2xx; tries again, for an unknown time.',
  answers: 'unknown',
  samples: {
    'order.paid': (draft) => event(draft),
    'order.canceled': (draft) => event(draft),
    '*': (draft) => event(draft),
  },
});

function event({ topic }: SampleDraft): object {
  return {
    event_type: topic,
    resource_url: `https://openapi.etsy.com/v3/application/shops/42/receipts/${randomNumber(10)}`,
    shop_id: 42,
  };
}
