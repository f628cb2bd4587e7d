// Bitbucket Cloud: `sha256=` hex HMAC over the body in X-Hub-Signature, the event's name in a header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { bodyHash, header, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const actor = { type: 'user', display_name: 'Ada', uuid: '{d301aafa-d676-4ee0-88be-962be7417567}' };
const repository = {
  type: 'repository',
  full_name: 'ada/hello',
  name: 'hello',
  uuid: '{b7f7fcd7-4c23-4a0e-9f3b-5b1f2a9d1f6a}',
};

export const bitbucket: Provider = {
  name: 'bitbucket',
  title: 'Bitbucket Cloud',
  docsUrl: 'https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/',
  facts:
    'Signature T: Hookdeck skill and the enhanced webhook security post of atlassian.com as quoted in adnanh/webhook issue 662. Attempts, deadline and size D: support.atlassian.com, troubleshoot webhooks. Whether X-Request-UUID stays over attempts is not documented, X-Hook-UUID is the hook: event and hash of the body are the id.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-hub-signature'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({ label: 'Secret', where: 'Repository settings → Webhooks → your webhook → Secret' }),
  // The signature does not cover the event's name.
  idIsSigned: false,
  events: { id: [header('x-event-key'), ':', bodyHash], topic: header('x-event-key') },
  headers: ['x-event-key', 'x-request-uuid', 'x-hook-uuid', 'x-attempt-number'],
  retries: 'Wants an answer within 10 s; after a 5xx two more tries, counted in X-Attempt-Number.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic, id }) => ({ 'x-event-key': topic, 'x-request-uuid': id, 'x-attempt-number': '1' }),
  },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'repo:push': ({ now }) => ({
      actor,
      repository,
      push: {
        changes: [
          {
            new: {
              type: 'branch',
              name: 'main',
              target: { type: 'commit', hash: `${randomNumber(14)}abcdef`, date: now.toISOString() },
            },
            created: false,
            forced: false,
            closed: false,
          },
        ],
      },
    }),
    'pullrequest:created': (draft) => pullRequest(draft, 'OPEN'),
    'pullrequest:fulfilled': (draft) => pullRequest(draft, 'MERGED'),
    '*': ({ now }) => ({ actor, repository, date: now.toISOString(), nonce: randomNumber(12) }),
  },
};

function pullRequest({ now }: SampleDraft, state: string): object {
  return {
    actor,
    repository,
    pullrequest: {
      id: randomNumber(12),
      title: 'Ring twice',
      state,
      source: { branch: { name: 'bell' } },
      destination: { branch: { name: 'main' } },
      updated_on: now.toISOString(),
    },
  };
}
