// Jira Cloud: `sha256=` hex HMAC over the body in X-Hub-Signature; the id is in an unsigned header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const jira: Provider = {
  name: 'jira',
  title: 'Jira Cloud',
  docsUrl: 'https://developer.atlassian.com/cloud/jira/platform/webhooks/',
  facts:
    'Signature T: jira.js, n8n pull request 8822, Hookdeck and Trigger.dev agree. X-Atlassian-Webhook-Identifier kept over retries T: the documentation of jira.js. Webhooks of Connect apps carry a JWT instead T. Retries D: community.developer.atlassian.com, new webhook retry policy.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-hub-signature'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'Secret',
    where: 'Jira settings → System → WebHooks → your webhook → Secret (shown once)',
  }),
  idIsSigned: false,
  events: {
    id: header('x-atlassian-webhook-identifier'),
    topic: json('webhookEvent'),
    occurredAt: { at: json('timestamp'), unit: 'ms' },
  },
  headers: [
    'x-atlassian-webhook-identifier',
    'x-atlassian-webhook-flow',
    'x-atlassian-webhook-retry',
    'x-atlassian-webhook-trace',
  ],
  retries:
    'Tries again for up to 30 minutes after 408, 409, 425, 429, 5xx or no answer, counted in X-Atlassian-Webhook-Retry.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id }) => ({
      'x-atlassian-webhook-identifier': id,
      'x-atlassian-webhook-flow': 'Primary',
    }),
  },
  answers: {
    failure: {
      408: 'retried',
      409: 'retried',
      425: 'retried',
      429: 'retried',
      '5xx': 'retried',
      '4xx': 'final',
    },
  },
  samples: {
    'jira:issue_created': (draft) => event(draft, { issue_event_type_name: 'issue_created', issue: issue() }),
    'jira:issue_updated': (draft) =>
      event(draft, {
        issue_event_type_name: 'issue_generic',
        issue: issue(),
        changelog: { id: String(randomNumber(12)), items: [{ field: 'status', toString: 'Done' }] },
      }),
    comment_created: (draft) =>
      event(draft, { comment: { id: String(randomNumber(12)), body: 'Ring' }, issue: issue() }),
    '*': (draft) => event(draft, { id: String(randomNumber(12)) }),
  },
};

function issue(): object {
  const number = randomNumber(12);
  return {
    id: String(number),
    key: `BELL-${number}`,
    fields: { summary: 'The bell is silent', status: { name: 'To Do' }, project: { key: 'BELL' } },
  };
}

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    timestamp: now.getTime(),
    webhookEvent: topic,
    user: { accountId: '5b10a2844c20165700ede21g', displayName: 'Ada' },
    ...more,
  };
}
