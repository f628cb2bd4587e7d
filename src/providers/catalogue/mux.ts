// Mux: `t=…,v1=…` over `t.body`; the id stays in the body while its list of attempts grows.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const mux: Provider = {
  name: 'mux',
  title: 'Mux',
  docsUrl: 'https://www.mux.com/docs/core/verify-webhook-signatures',
  facts:
    'Signature, the five minutes and the fields of an event (id, type, created_at, attempts) L: npm @mux/mux-node, webhooks.verifySignature and webhooks.d.ts. Deadline and retries D: mux.com/docs, listen for webhooks.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('mux-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    timestamp: { at: item('t'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'dashboard.mux.com → Settings → Webhooks → your webhook → Show Signing Secret',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('type'), occurredAt: { at: json('created_at'), unit: 'iso' } },
  retries: 'Wants a 2xx within 5 s; tries again for up to 24 h; the body lists the earlier attempts.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'video.asset.ready': (draft) => event(draft, { status: 'ready', duration: 23.87, aspect_ratio: '16:9' }),
    'video.asset.errored': (draft) => event(draft, { status: 'errored' }),
    'video.upload.asset_created': (draft) => event(draft, { status: 'asset_created', asset_id: randomId() }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  const objectId = randomId();
  return {
    id,
    type: topic,
    created_at: now.toISOString(),
    object: { type: topic.split('.')[1] ?? 'asset', id: objectId },
    environment: { name: 'Production', id: 'abcdef' },
    data: { id: objectId, ...data },
    attempts: [],
    request_id: null,
    accessor: null,
    accessor_source: null,
  };
}
