// Customer.io reporting webhooks: bare hex HMAC over `v0:timestamp:body`.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';

export const customerio: Provider = {
  name: 'customerio',
  title: 'Customer.io',
  docsUrl: 'https://docs.customer.io/integrations/api/webhooks/',
  facts:
    'Headers, algorithm, deadline and retries D: customer.io/docs/api/webhooks. Signed text and hex T: n8n. Event id, metric and timestamp T: a public skill on the same page.',
  scheme: hmac({
    message: ['v0:', timestamp, ':', rawBody],
    signature: { at: header('x-cio-signature'), encoding: 'hex' },
    // Retries last seven days and may carry the first attempt's time; the signed event_id makes them duplicates.
    timestamp: { at: header('x-cio-timestamp'), unit: 's', pastSeconds: 7 * 24 * 3600 },
  }),
  secret: textSecret({
    label: 'Webhook signing key',
    where: 'Data & Integrations → Integrations → Reporting Webhooks → your webhook → Signing key',
  }),
  idIsSigned: true,
  events: {
    id: json('event_id'),
    topic: [json('object_type'), '.', json('metric')],
    occurredAt: { at: json('timestamp'), unit: 's' },
  },
  headers: ['x-cio-timestamp'],
  retries: 'Wants a 2xx within 4 s; tries again for 7 days, and delays all later events during that time.',
  sending: { newId: () => randomId('01') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'email.delivered': (draft) => event(draft),
    'email.opened': (draft) => event(draft),
    'customer.unsubscribed': (draft) => event(draft),
    '*': (draft) => event(draft),
  },
};

function event({ topic, id, now }: SampleDraft): object {
  const [objectType, metric] = topic.split('.');
  return {
    event_id: id,
    object_type: objectType,
    metric,
    timestamp: unixSeconds(now),
    data: {
      customer_id: '0200102',
      identifiers: { id: '0200102', email: 'ada@example.com' },
      recipient: 'ada@example.com',
      delivery_id: randomId(),
      campaign_id: 23,
      subject: 'Ring the bell',
    },
  };
}
