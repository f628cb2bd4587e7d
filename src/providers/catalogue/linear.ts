// Linear: bare hex HMAC over the body, which holds the time of sending; the id is in an unsigned header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const linear: Provider = {
  name: 'linear',
  title: 'Linear',
  docsUrl: 'https://linear.app/developers/webhooks',
  facts:
    'Signature and webhookTimestamp L: npm @linear/sdk/webhooks, LinearWebhookClient (the Linear-Timestamp header is not signed, and it no longer reads it). Linear-Delivery as key, type and action T: Hookdeck and others. Deadline and retries D: developers.linear.app, webhooks.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('linear-signature'), encoding: 'hex' },
    // Linear's library rejects deliveries after 60 s. Whether a retry (up to 6 h later) has a new time is not documented.
    // The body's hash reveals a replay.
    timestamp: { at: json('webhookTimestamp'), unit: 'ms', pastSeconds: 8 * 3600 },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'Settings → API → Webhooks → your webhook → Signing secret',
  }),
  idIsSigned: false,
  events: {
    id: header('linear-delivery'),
    topic: [json('type'), '.', json('action')],
    occurredAt: { at: json('createdAt'), unit: 'iso' },
  },
  headers: ['linear-delivery', 'linear-event'],
  retries: 'Wants 200 within 5 s; 3 retries after 1 min, 1 h and 6 h.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic, id }) => ({ 'linear-delivery': id, 'linear-event': topic.split('.')[0] ?? topic }),
  },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'Issue.create': (draft) => event(draft, { title: 'The bell is silent', number: randomNumber(4) }),
    'Issue.update': (draft) => event(draft, { title: 'Ring twice', number: randomNumber(4) }),
    'Comment.create': (draft) => event(draft, { body: 'Ring' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, data: object): object {
  const [type, action] = topic.split('.');
  const id = crypto.randomUUID();
  return {
    action,
    type,
    actor: { id: 'b5ea5f1f-8adc-4f52-b4bd-ab4e84cf51ba', type: 'user', name: 'Ada' },
    createdAt: now.toISOString(),
    data: { id, ...data, createdAt: now.toISOString(), updatedAt: now.toISOString() },
    url: `https://linear.app/bell/${type?.toLowerCase()}/${id}`,
    organizationId: '2efd4cb3-2d0f-4d3e-9c07-b9ad9d2dbdf8',
    webhookId: '000042e3-d123-4980-b49f-8e140eef9329',
    webhookTimestamp: now.getTime(),
  };
}
