// Doppler: `sha256=` hex HMAC over a body that only says that secrets changed, and is equal each time.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { arrival, bodyHash, firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const doppler: Provider = {
  name: 'doppler',
  title: 'Doppler',
  docsUrl: 'https://docs.doppler.com/docs/webhooks',
  facts:
    'Header, body, payload of your own and delivery of at least once D: docs.doppler.com, webhooks. `sha256=` hex T: @hookflo/tern. No id and no time of the event is sent D. Retries unknown.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-doppler-signature'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'Secret',
    format: 'text, your own choice',
    where: 'Chosen by you: your project → Webhooks → your webhook → Secret',
  }),
  idIsSigned: true,
  events: {
    // Two changes of one config have equal bodies. A custom payload is static, so it is equal each time, too.
    id: [arrival, ':', bodyHash],
    idPerDelivery: true,
    topic: firstOf(json('type'), 'webhook'),
  },
  retries: 'Delivered "generally once"; schedule unknown. A repeated delivery looks like a second change.',
  answers: 'unknown',
  samples: {
    'config.secrets.update': (draft) => change(draft),
    '*': (draft) => change(draft),
  },
};

function change({ topic }: SampleDraft): object {
  const project = randomId().slice(0, 11);
  return {
    type: topic,
    config: { name: 'dev', created_at: '2019-05-30T08:18:33.634Z', environment: 'dev', project },
    project: { id: project, name: 'Backend', created_at: '2019-05-26T01:42:30.256Z' },
    workplace: { id: 'fcd76', name: 'Bell Shop' },
  };
}
