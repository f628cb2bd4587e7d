// Close: hex HMAC over the time followed directly by the body, with a hexadecimal key.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { encodedSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const timeHeader = 'close-sig-timestamp';

export const close: Provider = {
  name: 'close',
  title: 'Close',
  docsUrl: 'https://developer.close.com/api/resources/webhooks',
  facts:
    'Signature, hexadecimal key, body and retries D: developer.close.com, webhooks. Whether a retry is signed again is not documented: 73 h are accepted, and the id is signed, so an old one is a duplicate.',
  scheme: hmac({
    // Only digits may stand before the body, and the body is an object: the boundary between them is certain.
    message: [timestamp, rawBody],
    signature: { at: header('close-sig-hash'), encoding: 'hex' },
    timestamp: { at: header(timeHeader), unit: 's', pastSeconds: 73 * 3600 },
    key: 'hex',
  }),
  secret: encodedSecret({
    label: 'Signature key',
    where: 'From the API: signature_key in the answer to Create a webhook subscription',
    key: 'hex',
  }),
  idIsSigned: true,
  events: {
    id: json('event.id'),
    topic: [json('event.object_type'), '.', json('event.action')],
    occurredAt: { at: json('event.date_created'), unit: 'iso-utc' },
  },
  headers: [timeHeader],
  retries:
    'Wants a 2xx; tries again for up to 72 h, in the end every 20 min; 3 days without success, or 100,000 waiting events, pause the subscription and drop them.',
  sending: { newId: () => randomId('ev_') },
  answers: { failure: { '4xx': 'retried', '5xx': 'retried' } },
  redelivery: 'not by Close: read the Event Log API, which goes back 30 days',
  samples: {
    'lead.created': (draft) => event(draft, { display_name: 'Bell Ltd.', status_label: 'Potential' }),
    'opportunity.updated': (draft) =>
      event(draft, { status_type: 'won', value: 50_000, value_currency: 'USD' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  const dot = topic.lastIndexOf('.');
  const objectId = randomId(`${topic.slice(0, 4)}_`);
  const at = now.toISOString().slice(0, -1);
  return {
    event: {
      id,
      date_created: at,
      date_updated: at,
      action: topic.slice(dot + 1),
      object_type: topic.slice(0, dot),
      object_id: objectId,
      organization_id: randomId('orga_'),
      user_id: randomId('user_'),
      changed_fields: [],
      previous_data: {},
      data: { id: objectId, ...data },
    },
    subscription_id: randomId('whsub_'),
  };
}
