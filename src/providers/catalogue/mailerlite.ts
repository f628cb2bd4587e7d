// MailerLite: bare hex HMAC over the body in a header called Signature; batches where the webhook is batchable.
import { valueAt } from '../body.ts';
import { firstOf, header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomNumber } from './sample.ts';

export const mailerlite: Provider = {
  name: 'mailerlite',
  title: 'MailerLite',
  docsUrl: 'https://developers.mailerlite.com/docs/webhooks.html',
  facts:
    'Signature, events, batches, deadline and retries D: developers.mailerlite.com, webhooks (hash_hmac, so hex). `events`, `type` or `event` T: asyncapi.apis.io. No id is known: the hash of the item is the id.',
  scheme: hmac({ message: rawBody, signature: { at: header('signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Secret',
    where: 'From the API: `secret` in GET /api/webhooks, or Integrations → Webhooks',
    // Theirs have ten characters.
    minBytes: 10,
  }),
  idIsSigned: true,
  events: {
    topic: firstOf(json('type'), json('event')),
    items: (body) => valueAt(body, ['events']),
  },
  retries: 'Wants a 2xx within 3 s; 3 retries after 10, 100 and 1,000 s.',
  samples: {
    'subscriber.created': (draft) => event(draft),
    'subscriber.unsubscribed': (draft) => event(draft),
    'campaign.open': (draft) => ({ events: [event(draft), event(draft)], total: 2 }),
    '*': (draft) => event(draft),
  },
};

function event({ topic, now }: SampleDraft): object {
  const time = now.toISOString().slice(0, 19).replace('T', ' ');
  return {
    type: topic,
    subscriber: {
      id: String(randomNumber(14)),
      email: 'ada@example.com',
      status: topic.endsWith('unsubscribed') ? 'unsubscribed' : 'active',
      opens_count: 1,
      clicks_count: 0,
      created_at: time,
      updated_at: time,
      fields: { name: 'Ada', last_name: 'Lovelace' },
    },
  };
}
