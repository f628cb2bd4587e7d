// AfterShip: base64 HMAC over the body, in one header per product.
import { json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

export const aftership: Provider = {
  name: 'aftership',
  title: 'AfterShip',
  docsUrl: 'https://www.aftership.com/docs/tracking/webhook/webhook-signature',
  facts:
    'Signature, event_id and ts D: aftership.com/docs, tracking webhook signature and specifications; retries D: webhook overview; header of Returns and Warranty D. Shipping (am-webhook-signature) is left out: its older form is not documented well enough.',
  scheme: hmac({
    message: rawBody,
    signature: {
      at: { headers: ['aftership-hmac-sha256', 'as-signature-hmac-sha256'] },
      encoding: 'base64',
    },
  }),
  secret: textSecret({ label: 'Webhook secret', where: 'Settings → Webhooks → Webhook secret' }),
  idIsSigned: true,
  events: {
    id: json('event_id'),
    topic: json('event'),
    occurredAt: { at: json('ts'), unit: 's' },
  },
  retries: 'Wants a 2xx; up to 14 tries with doubling gaps.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    tracking_update: (draft) => event(draft, 'InTransit'),
    edd_revise: (draft) => event(draft, 'OutForDelivery'),
    '*': (draft) => event(draft, 'Delivered'),
  },
};

function event({ topic, id, now }: SampleDraft, tag: string): object {
  return {
    ts: unixSeconds(now),
    event: topic,
    event_id: id,
    is_tracking_first_tag: true,
    msg: { id: randomId(), tracking_number: `1Z${randomNumber(12)}`, slug: 'ups', tag, checkpoints: [] },
  };
}
