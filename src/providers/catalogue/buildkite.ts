// Buildkite: `timestamp=…,signature=…` over `timestamp.body`, or the token itself in a header: a setting at Buildkite decides.

import type { Provider, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { credential } from '../schemes/credential.ts';
import { hmac } from '../schemes/hmac.ts';
import { credentialSecret } from '../secrets.ts';
import { firstOf, header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const signatureHeader = 'x-buildkite-signature';
const eventHeader = 'x-buildkite-event';

export const buildkite: Provider = {
  name: 'buildkite',
  title: 'Buildkite',
  docsUrl: 'https://buildkite.com/docs/apis/webhooks/pipelines',
  facts:
    'Both headers, the token as key, the time as that of the request, event in header and body D: buildkite/docs, pages/apis/webhooks. Dot between time and body, hex, seconds T: four public receivers that agree; 300 s T: two of them. No id is sent: the hash of the body is the id. Retries: not found.',
  scheme: alternatives(
    {
      headers: [signatureHeader],
      scheme: hmac({
        message: [timestamp, '.', rawBody],
        signature: { at: header(signatureHeader), encoding: 'hex', separator: ',', prefix: 'signature=' },
        timestamp: { at: item('timestamp'), unit: 's' },
      }),
    },
    { headers: [], scheme: credential({ at: header('x-buildkite-token'), name: 'static token' }) },
  ),
  secret: credentialSecret({
    label: 'Token',
    format: 'the whole token; prefer the setting that sends it as a signature',
    where: 'Organization Settings → Notification Services → your webhook → Token',
  }),
  idIsSigned: true,
  events: {
    topic: firstOf(json('event'), header(eventHeader)),
    occurredAt: {
      at: firstOf(
        json('job.finished_at'),
        json('job.started_at'),
        json('build.finished_at'),
        json('build.started_at'),
        json('build.created_at'),
      ),
      unit: 'iso',
    },
  },
  headers: [eventHeader, 'x-buildkite-request'],
  retries: 'Wants a 2xx; retries unknown.',
  sending: { headers: ({ topic }) => ({ [eventHeader]: topic }) },
  answers: 'unknown',
  samples: {
    'build.finished': (draft) => event(draft, { state: 'passed', finished_at: draft.now.toISOString() }),
    'build.running': (draft) => event(draft, { state: 'running' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, build: object): object {
  return {
    event: topic,
    build: {
      id: crypto.randomUUID(),
      number: randomNumber(4),
      branch: 'main',
      created_at: now.toISOString(),
      ...build,
    },
    pipeline: { id: crypto.randomUUID(), slug: 'bell' },
    sender: { id: crypto.randomUUID(), name: 'Ada' },
  };
}
