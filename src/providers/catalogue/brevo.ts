// Brevo: nothing is signed; user name and password of the URL come as basic auth, or a token as Bearer.

import type { Provider, SampleDraft } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { basicAuthValue } from './basic-auth.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

export const brevo: Provider = {
  name: 'brevo',
  title: 'Brevo',
  docsUrl: 'https://developers.brevo.com/docs/secured-webhooks',
  facts:
    'Basic auth, Bearer and retries D: developers.brevo.com, secure webhook calls and retry mechanism. Fields and times D: the same, transactional webhooks; that there are batched webhooks D; their form was not found, and a list is read as one event each. No id is sent: the hash of the body, which holds the time of the event, is the id.',
  scheme: credential({
    at: header('authorization'),
    name: 'Bearer token or basic auth',
    expected: (secret) => (secret.includes(':') ? basicAuthValue(secret) : `Bearer ${secret}`),
  }),
  secret: credentialSecret({
    label: 'Token, or user name and password',
    format: 'a token of your choice (sent as Bearer), or user:password (basic auth)',
    where:
      'Chosen by you: auth {"type":"bearer","token":"…"} of the webhook, or its URL is https://user:password@…',
  }),
  idIsSigned: true,
  events: {
    topic: json('event'),
    occurredAt: { at: json('ts_event'), unit: 's' },
    items: (body) => body,
  },
  retries:
    'Tries again only after 429 or without any answer, after 10 min, 1 h, 2 h and 8 h: after any other 4xx and every 5xx the event is lost. So Postbell answers 429 in place of 503.',
  answers: { failure: { '4xx': 'final', '5xx': 'final', 429: 'retried' } },
  unavailableStatus: 429,
  samples: {
    delivered: (draft) => event(draft, {}),
    hard_bounce: (draft) => event(draft, { reason: 'No such user' }),
    opened: (draft) => event(draft, {}),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    event: topic,
    email: 'ada@example.com',
    id: randomNumber(6),
    date: now.toISOString().slice(0, 19).replace('T', ' '),
    ts: unixSeconds(now),
    'message-id': `<${randomId()}@smtp-relay.mailin.fr>`,
    ts_event: unixSeconds(now),
    subject: 'Ring',
    ts_epoch: now.getTime(),
    tags: [],
    ...more,
  };
}
