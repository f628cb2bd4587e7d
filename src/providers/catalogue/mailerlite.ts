// MailerLite: bare hex HMAC over the body in a header called Signature; batches where the webhook is batchable.
import { hash } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, rawBody } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const topic = firstOf(json('type'), json('event'));

/** Events that can happen to one subscriber repeatedly, and of which no time is known. */
const repeatableTopics = [
  'subscriber.added_to_group',
  'subscriber.removed_from_group',
  'subscriber.automation_triggered',
  'subscriber.automation_completed',
  'campaign.open',
  'campaign.click',
];

export const mailerlite: Provider = {
  name: 'mailerlite',
  title: 'MailerLite',
  docsUrl: 'https://developers.mailerlite.com/docs/webhooks.html',
  facts:
    'Signature, events, batches, deadline and retries D: developers.mailerlite.com, webhooks (hash_hmac, so hex). `events`, `type` or `event` and bodies T: asyncapi.apis.io and PostHog. The base64 of MailerLite Classic is left out. No id is sent: the hash of the item is the id where it has a time of its own.',
  scheme: hmac({ message: rawBody, signature: { at: header('signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Secret',
    where: 'From the API: `secret` in GET /api/webhooks, or Integrations → Webhooks',
    // MailerLite's own secrets have ten characters.
    minBytes: 10,
  }),
  idIsSigned: true,
  events: {
    id: computed(idOfRepeatable),
    idPerDelivery: true,
    topic,
    items: (body) => valueAt(body, ['events']),
  },
  retries: 'Wants a 2xx within 3 s; 3 retries after 10, 100 and 1,000 s.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'campaign.open': (draft) => ({ events: [event(draft), event(draft)], total: 2 }),
    'subscriber.created': (draft) => event(draft),
    'subscriber.added_to_group': (draft) => ({ ...event(draft), group: { id: '9', name: 'Newsletter' } }),
    '*': (draft) => event(draft),
  },
};

/** Arrival time and hash for an event that can happen again; otherwise undefined, and the hash alone is the id. */
function idOfRepeatable(reading: Reading): string | undefined {
  if (!repeatableTopics.includes(readText(topic, reading) ?? '')) return undefined;
  const { item, delivery } = reading;
  const text = item === undefined ? delivery.body : JSON.stringify(item);
  return `${delivery.receivedAt.toISOString()}:${hash('sha256', text, 'hex')}`;
}

function event({ topic, now }: SampleDraft): object {
  const time = now.toISOString().slice(0, 19).replace('T', ' ');
  return {
    type: topic,
    subscriber: {
      id: String(randomNumber(14)),
      email: 'ada@example.com',
      status: 'active',
      opens_count: 1,
      clicks_count: 0,
      created_at: time,
      updated_at: time,
      fields: { name: 'Ada', last_name: 'Lovelace' },
    },
  };
}
