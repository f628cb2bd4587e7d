// GitHub: `sha256=` hex HMAC over the body; id and event name come in headers that the signature does not cover.

import type { Provider } from '../provider.ts';
import { nextLinkParam, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, optional, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

const repository = {
  id: 1296269,
  name: 'Hello-World',
  full_name: 'octocat/Hello-World',
  private: false,
  owner: { login: 'octocat', id: 1, type: 'User' },
};
const sender = { login: 'octocat', id: 1, type: 'User' };

const deliveredAt = (item: unknown) => textAt(item, 'delivered_at');

const recover: RecoverSpec = {
  key: 'fine-grained token with Webhooks: Read and write on the repository (classic: admin:repo_hook, admin:org_hook)',
  url: 'https://api.github.com',
  wants: {
    setting: 'PATH',
    example: 'repos/OWNER/REPO/hooks/ID or orgs/ORG/hooks/ID',
    pattern: /^(?:repos\/[\w.-]+\/[\w.-]+|orgs\/[\w.-]+)\/hooks\/\d+$/,
  },
  keptHours: 3 * 24,
  authorize: (key) => ({
    authorization: `Bearer ${key}`,
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
  }),
  redeliver: {
    endpoint: 'GET …/hooks/ID/deliveries, POST …/deliveries/ID/attempts',
    page: ({ cursor, wanted }) => ({
      path: `/${wanted}/deliveries`,
      query: { per_page: '100', ...(cursor === undefined ? {} : { cursor }) },
    }),
    // Only the cursor is taken from the link: a proxy has another address than the link names.
    read: ({ json: answer, link }) => ({ items: answer, next: nextLinkParam(link, 'cursor') }),
    timeOf: deliveredAt,
    sentAt: deliveredAt,
    delivery: (item) => {
      const [id, guid] = [textAt(item, 'id'), textAt(item, 'guid')];
      return id === undefined || guid === undefined ? undefined : { id, eventIds: [guid] };
    },
    again: (id, wanted) => ({ method: 'POST', path: `/${wanted}/deliveries/${id}/attempts` }),
  },
  lost: 'nothing within the 3 days; webhooks of GitHub Apps are left out, since their API wants a new token every 10 minutes',
};

export const github: Provider = {
  name: 'github',
  title: 'GitHub',
  docsUrl: 'https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries',
  facts:
    'Signature L+D: @octokit/webhooks-methods, docs.github.com. Delivery id kept on redelivery, no automatic retry, and deadlines D: docs.github.com, best practices for using webhooks. Redelivery for 3 days D: handling failed deliveries. 25 MB D: webhook events and payloads.',
  // GitHub also sends X-Hub-Signature (SHA-1), which must never count.
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-hub-signature-256'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({ label: 'Secret', where: 'Repository or organisation → Settings → Webhooks → Secret' }),
  idIsSigned: false,
  // Webhooks may be set to `application/x-www-form-urlencoded`: the signature then covers the form's bytes.
  body: { form: 'flat', jsonField: 'payload' },
  events: {
    id: header('x-github-delivery'),
    topic: [header('x-github-event'), optional('.', json('action'))],
  },
  headers: [
    'x-github-delivery',
    'x-github-event',
    'x-github-hook-id',
    'x-github-hook-installation-target-id',
    'x-github-hook-installation-target-type',
  ],
  retries:
    'Wants a 2xx within 10 s (Enterprise Server 30 s); no automatic retries. Redeliver by hand or by API, under the same delivery id.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic, id }) => ({
      'x-github-event': topic.split('.')[0] ?? topic,
      'x-github-delivery': id,
      'x-github-hook-id': String(randomNumber(9)),
    }),
  },
  answers: { failure: { any: 'final' } },
  recover,
  redelivery:
    'by hand (your webhook → Recent deliveries → Redeliver) or by API, for 3 days (Enterprise Server: 7)',
  setup: { url: 'Repository or organisation → Settings → Webhooks → Payload URL' },
  // GitHub limits payloads to 25 MB, and does not retry.
  bodyLimitBytes: 26_214_400,
  samples: {
    ping: () => ({ zen: 'Design for failure.', hook_id: randomNumber(9), repository, sender }),
    push: () => push(),
    'issues.opened': ({ now }) => issue('opened', now),
    'issues.closed': ({ now }) => issue('closed', now),
    'pull_request.opened': ({ now }) => pullRequest('opened', now),
    'pull_request.closed': ({ now }) => pullRequest('closed', now),
    '*': ({ topic }) => ({ ...actionOf(topic), repository, sender, installation: { id: randomNumber(12) } }),
  },
};

function actionOf(topic: string): { action?: string } {
  const action = topic.split('.')[1];
  return action === undefined ? {} : { action };
}

function push(): object {
  const after = `${randomId()}59b20b8d5c6ff8d0`;
  return {
    ref: 'refs/heads/main',
    before: '6113728f27ae82c7b1a177c8d03f9e96e0adf246',
    after,
    commits: [{ id: after, message: 'Ring the bell', distinct: true }],
    pusher: { name: 'octocat', email: 'octocat@github.com' },
    repository,
    sender,
  };
}

function issue(action: string, now: Date): object {
  const number = randomNumber(4);
  const state = action === 'closed' ? 'closed' : 'open';
  return {
    action,
    issue: {
      id: randomNumber(10),
      number,
      title: 'The bell is silent',
      state,
      user: sender,
      updated_at: now.toISOString(),
    },
    repository,
    sender,
  };
}

function pullRequest(action: string, now: Date): object {
  const number = randomNumber(4);
  return {
    action,
    number,
    pull_request: {
      id: randomNumber(10),
      number,
      title: 'Ring twice',
      state: action === 'closed' ? 'closed' : 'open',
      merged: action === 'closed',
      user: sender,
      updated_at: now.toISOString(),
    },
    repository,
    sender,
  };
}
