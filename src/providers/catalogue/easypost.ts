// EasyPost: `hmac-sha256-hex=` HMAC over the body; the key is the secret in Unicode's NFKD form.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const easypost: Provider = {
  name: 'easypost',
  title: 'EasyPost',
  docsUrl: 'https://docs.easypost.com/guides/webhooks-guide',
  facts:
    'Signature L: npm @easypost/api, Utils.validateWebhook (which also repairs numbers that a parser changed; raw bytes need no repair). 2xx, retries and disabling D: docs.easypost.com. Event id L, shape of Event.',
  scheme: hmac({
    message: rawBody,
    key: (secret) => (secret === '' ? undefined : Buffer.from(secret.normalize('NFKD'), 'utf8')),
    signature: { at: header('x-hmac-signature'), encoding: 'hex', prefix: 'hmac-sha256-hex=' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'Chosen by you when the webhook is made: Account → Webhooks, or webhook_secret in the API',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('description'),
    occurredAt: { at: firstOf(json('updated_at'), json('created_at')), unit: 'iso' },
  },
  retries: 'Wants a 2xx; tries again, and switches off webhooks that keep failing.',
  sending: { newId: () => `evt_${crypto.randomUUID().replaceAll('-', '')}` },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'tracker.updated': (draft) => event(draft, tracker('in_transit')),
    'tracker.created': (draft) => event(draft, tracker('pre_transit')),
    'batch.updated': (draft) =>
      event(draft, { id: randomId('batch_'), object: 'Batch', state: 'purchased', num_shipments: 2 }),
    '*': (draft) => event(draft, { id: randomId(), object: 'Shipment' }),
  },
};

function tracker(status: string): object {
  return {
    id: randomId('trk_'),
    object: 'Tracker',
    tracking_code: `EZ${randomNumber(10)}`,
    status,
    carrier: 'USPS',
    weight: 17.6,
    tracking_details: [],
  };
}

function event({ topic, id, now }: SampleDraft, result: object): object {
  return {
    id,
    object: 'Event',
    mode: 'test',
    description: topic,
    previous_attributes: {},
    status: 'pending',
    pending_urls: ['https://shop.example.com/api/webhooks/easypost'],
    completed_urls: [],
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    result,
  };
}
