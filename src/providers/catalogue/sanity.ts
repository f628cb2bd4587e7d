// Sanity: `t=…,v1=…` with base64url HMAC over `t.body`; the body is a document in the form of your projection.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import {
  computed,
  firstOf,
  header,
  item,
  json,
  type Reading,
  rawBody,
  timestamp,
} from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const signature = header('sanity-webhook-signature');

export const sanity: Provider = {
  name: 'sanity',
  title: 'Sanity',
  docsUrl: 'https://www.sanity.io/docs/content-lake/webhooks',
  facts:
    'Signature L: npm @sanity/webhook. Headers and that idempotency-key stays over retries T: several receivers that agree. _updatedAt for the order D: sanity.io, webhook best practices. Retries D: its changelog of April 2026.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: signature, encoding: 'base64url', separator: ',', prefix: 'v1=' },
    // Sanity's library does not check the age, and its guide mentions delays.
    timestamp: { at: item('t'), unit: 'ms', pastSeconds: 24 * 3600 },
  }),
  secret: textSecret({ label: 'Secret', where: 'Chosen by you: sanity.io/manage → API → Webhooks → Secret' }),
  idIsSigned: false,
  events: {
    id: header('idempotency-key'),
    // A projection such as {_id} gives equal bodies for every change of a document.
    signedAt: computed(signedTime),
    topic: firstOf([json('_type'), '.', header('sanity-operation')], header('sanity-operation')),
    occurredAt: { at: json('_updatedAt'), unit: 'iso' },
  },
  headers: [
    'idempotency-key',
    'sanity-operation',
    'sanity-document-id',
    'sanity-dataset',
    'sanity-project-id',
    'sanity-transaction-id',
    'sanity-transaction-time',
    'sanity-webhook-id',
  ],
  retries: 'Wants a 2xx; after a 429 or a 5xx two retries, 30 s apart.',
  sending: {
    newId: () => randomId(),
    headers: ({ id, topic }) => ({
      'idempotency-key': id,
      'sanity-operation': topic.slice(topic.indexOf('.') + 1),
      'sanity-dataset': 'production',
      'sanity-project-id': 'bell1234',
    }),
  },
  answers: { failure: { 429: 'retried', '5xx': 'retried' } },
  samples: {
    'post.create': (draft) => document(draft, { title: 'Ring', slug: { _type: 'slug', current: 'ring' } }),
    'post.update': (draft) => document(draft, { title: 'Ring twice' }),
    'post.delete': (draft) => document(draft, {}),
    '*': (draft) => document(draft, {}),
  },
};

function signedTime(reading: Reading): string | undefined {
  return /(?:^|,)[ \t]*t=(\d+)/.exec(readText(signature, reading) ?? '')?.[1];
}

function document({ topic, now }: SampleDraft, more: object): object {
  return {
    _id: crypto.randomUUID(),
    _type: topic.split('.')[0],
    _rev: randomId(),
    _createdAt: '2026-01-02T03:04:05Z',
    _updatedAt: now.toISOString(),
    ...more,
  };
}
