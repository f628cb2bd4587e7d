// Printful API v2: hex HMAC over the body with a hexadecimal key; the body counts the tries.
import { hash } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { encodedSecret } from '../secrets.ts';
import { computed, header, json, type Reading, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const printful: Provider = {
  name: 'printful',
  title: 'Printful (API v2)',
  docsUrl: 'https://developers.printful.com/docs/v2-beta/',
  facts:
    'Signature, hexadecimal key, headers and body T: several public receivers that agree and cite developers.printful.com. No id is sent, and retries counts up in the body: an event is known by all else. V1 is unsigned.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-pf-webhook-signature'), encoding: 'hex' },
    key: 'hex',
  }),
  secret: encodedSecret({
    label: 'Secret key',
    where:
      'From the API: secret_key in the answer to Set up webhook configuration (POST /v2/webhooks); shown only then',
    key: 'hex',
  }),
  idIsSigned: true,
  events: {
    id: computed(idOfContent),
    topic: json('type'),
    occurredAt: { at: json('occurred_at'), unit: 'iso' },
  },
  headers: ['x-pf-webhook-public-key'],
  retries: 'Unknown; the body counts them.',
  answers: 'unknown',
  samples: {
    shipment_sent: (draft) =>
      event(draft, { shipment: { id: randomNumber(8), tracking_number: String(randomNumber(12)) } }),
    order_failed: (draft) => event(draft, { reason: 'Payment was declined' }),
    '*': (draft) => event(draft, {}),
  },
};

function idOfContent(reading: Reading): string | undefined {
  const body = reading.decoded?.exact();
  const content = ['type', 'occurred_at', 'store_id', 'data'].map((name) => valueAt(body, [name]));
  if (content.includes(undefined)) return undefined;
  return `sha256:${hash('sha256', JSON.stringify(content), 'hex')}`;
}

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    type: topic,
    occurred_at: now.toISOString(),
    retries: 0,
    store_id: 12,
    data: { order: { id: randomNumber(8), external_id: 'bell-1042', status: 'inprocess' }, ...more },
  };
}
