// Orb: `v1=` HMAC over `v1:time:body`; the time is in UTC, without a zone.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const orb: Provider = {
  name: 'orb',
  title: 'Orb (billing)',
  docsUrl: 'https://docs.withorb.com/integrations-and-exports/webhooks',
  facts:
    'Signature, time and 5 minutes L: npm orb-billing, webhooks.verifySignature. Id for idempotency, created_at and type D: docs.withorb.com.',
  scheme: hmac({
    message: ['v1:', timestamp, ':', rawBody],
    signature: { at: header('x-orb-signature'), encoding: 'hex', separator: ' ', prefix: 'v1=' },
    timestamp: { at: header('x-orb-timestamp'), unit: 'iso-utc' },
  }),
  secret: textSecret({ label: 'Webhook secret', where: 'Developers → Webhooks → your endpoint → Secret' }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: json('created_at'), unit: 'iso-utc' },
  },
  headers: ['x-orb-timestamp'],
  retries: 'Wants a 2xx; tries again with growing gaps.',
  sending: { newId: () => randomId() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'invoice.issued': (draft) =>
      event(draft, { invoice: { id: randomId(), total: '42.00', status: 'issued' } }),
    'subscription.created': (draft) => event(draft, { subscription: { id: randomId(), status: 'active' } }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, resource: object): object {
  return { id, created_at: now.toISOString(), type: topic, ...resource, properties: {} };
}
