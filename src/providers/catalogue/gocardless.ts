// GoCardless: hex HMAC over the body, which holds up to some hundred events.
import { valueAt } from '../body.ts';
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const gocardless: Provider = {
  name: 'gocardless',
  title: 'GoCardless',
  docsUrl: 'https://developer.gocardless.com/getting-started/staying-up-to-date-with-webhooks',
  facts: 'Signature, events and their ids L: npm gocardless-nodejs, webhooks.parse. Retries M.',
  // The same header name carries another format in Standard Webhooks and at Mautic.
  scheme: hmac({ message: rawBody, signature: { at: header('webhook-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook endpoint secret',
    where: 'Dashboard → Developers → Webhook endpoints → your endpoint → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: [json('resource_type'), '.', json('action')],
    occurredAt: { at: json('created_at'), unit: 'iso' },
    items: (body) => valueAt(body, ['events']),
  },
  retries: 'Wants a 2xx; up to 8 retries with growing gaps.',
  sending: { newId: () => randomId('EV') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'payments.confirmed': (draft) => batch(draft, [draft.id, randomId('EV')]),
    'mandates.created': (draft) => batch(draft, [draft.id]),
    '*': (draft) => batch(draft, [draft.id]),
  },
};

function batch({ topic, now }: SampleDraft, ids: readonly string[]): object {
  const [type, action] = topic.split('.');
  return {
    events: ids.map((id) => ({
      id,
      created_at: now.toISOString(),
      resource_type: type,
      action,
      links: { payment: randomId('PM') },
      details: { origin: 'gocardless', cause: 'payment_confirmed', description: 'Enough time has passed.' },
      metadata: {},
    })),
    meta: { webhook_id: randomId('WB') },
  };
}
