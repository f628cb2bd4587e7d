// GitLab: Standard Webhooks where a signing token is set, else a static secret token.

import type { Provider } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { standardWebhooks } from '../schemes/standard-webhooks.ts';
import { credentialSecret, encodedSecret, isSigningToken } from '../secrets.ts';
import { firstOf, header, json, optional } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const text = { label: 'Signing token or secret token', where: 'Project or group → Settings → Webhooks' };
const signing = encodedSecret({ ...text, key: { base64: 'whsec_' } });
const token = credentialSecret(text);

const project = {
  id: 15,
  name: 'Hello',
  path_with_namespace: 'ada/hello',
  web_url: 'https://gitlab.example.com/ada/hello',
};

export const gitlab: Provider = {
  name: 'gitlab',
  title: 'GitLab',
  docsUrl: 'https://docs.gitlab.com/user/project/integrations/webhooks/',
  facts:
    'Both schemes and the stable webhook-id D: gitlab.com merge requests 230944 and 231325. Switching off D: gitlab.com merge request 166329.',
  // A whsec_ secret requires the signature; a token in the same request does not replace it.
  scheme: perSecret(
    { when: isSigningToken, scheme: standardWebhooks('webhook') },
    { scheme: credential({ at: header('x-gitlab-token'), name: 'secret token' }) },
  ),
  secret: {
    ...signing,
    format: 'signing token whsec_… (signed, better), or a secret token of your choice',
    check: (secret) => (isSigningToken(secret) ? signing : token).check(secret),
  },
  idIsSigned: true,
  events: {
    // Webhooks that cause one another share X-Gitlab-Event-UUID, so it is no id.
    id: firstOf(header('webhook-id'), header('idempotency-key')),
    topic: firstOf(
      [json('object_kind'), optional('.', json('object_attributes.action'))],
      header('x-gitlab-event'),
    ),
  },
  headers: [
    'webhook-id',
    'webhook-timestamp',
    'idempotency-key',
    'x-gitlab-event',
    'x-gitlab-event-uuid',
    'x-gitlab-instance',
  ],
  retries:
    'Wants a 2xx within 10 s. Four failures in a row of any kind, 401 too, switch the webhook off for 1 min, growing to 24 h; 40 failures switch it off for ever: a wrong secret for one hour loses more than one hour.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id, topic }) => ({
      'webhook-id': id,
      'idempotency-key': id,
      'x-gitlab-event': `${topic.split('.')[0]?.replace('_', ' ')} Hook`,
    }),
  },
  answers: 'unknown',
  samples: {
    push: ({ topic }) => ({
      object_kind: topic,
      ref: 'refs/heads/main',
      before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
      after: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
      user_username: 'ada',
      project,
      commits: [],
      total_commits_count: 0,
    }),
    'merge_request.open': ({ topic }) =>
      ofKind(topic, { iid: randomNumber(3), title: 'Ring twice', state: 'opened' }),
    'issue.close': ({ topic }) =>
      ofKind(topic, { iid: randomNumber(3), title: 'Silent bell', state: 'closed' }),
    '*': ({ topic }) => ofKind(topic, { id: randomNumber(9) }),
  },
};

function ofKind(topic: string, attributes: object): object {
  const [kind, action] = topic.split('.');
  return { object_kind: kind, project, object_attributes: { ...attributes, ...(action ? { action } : {}) } };
}
