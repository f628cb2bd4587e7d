// CircleCI: a list of versioned signatures, of which v1 is the only one so far: hex HMAC over the body.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';

export const circleci: Provider = {
  name: 'circleci',
  title: 'CircleCI',
  docsUrl: 'https://circleci.com/docs/guides/integration/outbound-webhooks/',
  facts:
    'Signature with examples, id against duplicates, 10 s and retries, types D: circleci/circleci-docs, jekyll/_cci2/webhooks.adoc and webhooks-reference.adoc. How long it tries again is not documented.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('circleci-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
  }),
  secret: textSecret({
    label: 'Secret token',
    where: 'Project Settings → Webhooks → your webhook → Secret token',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('type'), occurredAt: { at: json('happened_at'), unit: 'iso' } },
  headers: ['circleci-event-type'],
  retries: 'Wants a 2xx within 10 s; tries again later, under the same id.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic }) => ({ 'circleci-event-type': topic }),
  },
  answers: 'unknown',
  samples: {
    'workflow-completed': (draft) => event(draft, { workflow: { name: 'build', status: 'success' } }),
    'job-completed': (draft) => event(draft, { job: { name: 'test', number: 42, status: 'failed' } }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, more: object): object {
  return {
    id,
    type: topic,
    happened_at: now.toISOString(),
    webhook: { id: crypto.randomUUID(), name: 'Bell' },
    project: { id: crypto.randomUUID(), name: 'bell', slug: 'github/ada/bell' },
    organization: { id: crypto.randomUUID(), name: 'ada' },
    ...more,
  };
}
