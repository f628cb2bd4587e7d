// Svix: Standard Webhooks under svix-… or webhook-… headers; the svix-… set wins where both are sent.

import type { Provider } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { standardWebhooks as scheme } from '../schemes/standard-webhooks.ts';
import { encodedSecret } from '../secrets.ts';
import { firstOf, header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const svix: Provider = {
  name: 'svix',
  title: 'Svix',
  docsUrl: 'https://docs.svix.com/receiving/verifying-payloads/how-manual',
  facts:
    'Signature and id L: npm svix. That each attempt has a new time and Retry-After is followed L: svix/svix-webhooks, worker.rs; the steps M. Recovery D: docs.svix.com, replaying messages. Svix gives bodies no shape: `type` or `eventType` is usual.',
  // Any svix-… header selects the svix-… headers: a foreign svix-id beside signed webhook-… headers rejects the delivery.
  // So the id read below is always the signed id.
  scheme: alternatives(
    { headers: ['svix-id', 'svix-timestamp', 'svix-signature'], scheme: scheme('svix') },
    { headers: ['webhook-id'], scheme: scheme('webhook') },
  ),
  secret: encodedSecret({
    label: 'Signing secret',
    key: { base64: 'whsec_' },
    where: "The sender's webhook portal → your endpoint → Signing secret",
  }),
  idIsSigned: true,
  events: {
    id: firstOf(header('svix-id'), header('webhook-id')),
    topic: firstOf(json('type'), json('eventType'), json('event')),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  headers: ['svix-id', 'svix-timestamp', 'webhook-id', 'webhook-timestamp'],
  retries:
    'Wants a 2xx within 15 s; 8 tries: at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, about 28 h in all.',
  sending: { newId: () => randomId('msg_'), headers: ({ id }) => ({ 'svix-id': id }) },
  answers: { failure: { '5xx': 'retried' } },
  redelivery: "in the sender's portal: your endpoint → Recover Failed Messages, or Resend on one message",
  samples: {
    'invoice.paid': ({ topic, now }) => ({
      type: topic,
      timestamp: now.toISOString(),
      data: { id: randomId('inv_'), amount: 4200, currency: 'eur' },
    }),
    '*': ({ topic, now }) => ({ type: topic, timestamp: now.toISOString(), data: { id: randomId() } }),
  },
};
