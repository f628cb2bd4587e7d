// Segment's webhook destinations: hex HMAC-SHA1 over the body; of a batch only its first event is signed.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';

export const segment: Provider = {
  name: 'segment',
  title: 'Segment',
  docsUrl: 'https://segment.com/docs/connections/destinations/catalog/actions-webhook/',
  facts:
    'Signature, type, timestamp and retries D: segmentio/segment-docs, destinations webhooks and actions-webhook. That a batch is signed over its first event alone D: the same, and support.twilio.com. So batches are refused: the rest of them could be anything. messageId D: the same, spec/common.md.',
  scheme: hmac({
    hash: 'sha1',
    message: rawBody,
    signature: { at: header('x-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Shared secret',
    format: 'text of your choice; switch batching off in the mapping',
    where: 'Chosen by you: Connections → Destinations → Webhooks → Settings → Shared Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('messageId'),
    topic: json('type'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  retries:
    'Wants a 2xx within 5 s; tries again only after a 5xx, for up to 4 h: a wrong secret loses events.',
  sending: { newId: () => `api-${crypto.randomUUID()}` },
  answers: { failure: { '4xx': 'final', '5xx': 'retried' } },
  samples: {
    track: (draft) => message(draft, { event: 'Bell Rung', properties: { revenue: '39.95' } }),
    identify: (draft) => message(draft, { traits: { email: 'ada@example.com', plan: 'Premium' } }),
    '*': (draft) => message(draft, {}),
  },
};

function message({ topic, id, now }: SampleDraft, more: object): object {
  return {
    messageId: id,
    type: topic,
    userId: '019mr8mf4r',
    timestamp: now.toISOString(),
    version: 1,
    ...more,
  };
}
