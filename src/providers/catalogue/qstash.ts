// Upstash QStash: a JWT in Upstash-Signature with the URL as `sub` and a hash of the body.

import type { Provider, SampleDraft } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const qstash: Provider = {
  name: 'qstash',
  title: 'Upstash QStash',
  docsUrl: 'https://upstash.com/docs/qstash/howto/signature',
  facts:
    'Token, issuer, URL and body claims L: npm @upstash/qstash, Receiver.verify. Headers, among them the message id, which is not signed, and retries D: upstash.com/docs/qstash. Bodies are whatever you publish: `type` of a JSON body is taken for the topic.',
  scheme: jwt({
    at: header('upstash-signature'),
    bodyHash: { claim: 'body', encoding: 'base64url' },
    url: { claim: 'sub', encoding: 'text' },
    issuerOf: () => 'Upstash',
    leewaySeconds: 30,
    lifetimeSeconds: 300,
    expires: true,
  }),
  secret: textSecret({
    label: 'Signing keys',
    format: 'text: the current key, a comma, the next key',
    prefix: 'sig_',
    where: 'console.upstash.com → QStash → Signing Keys',
  }),
  idIsSigned: false,
  events: {
    id: header('upstash-message-id'),
    // Each attempt has a new token. Schedules send equal bodies: a body is a replay only with the same token.
    signedAt: header('upstash-signature'),
    topic: firstOf(json('type'), header('upstash-topic-name'), 'message'),
  },
  headers: ['upstash-message-id', 'upstash-retried', 'upstash-schedule-id', 'upstash-topic-name'],
  retries:
    'Wants a 2xx; tries again as often as the plan or the message says, after 12 s, 2 m, 30 m, 6 h and then daily.',
  sending: { newId: () => randomId('msg_'), headers: ({ id }) => ({ 'upstash-message-id': id }) },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'report.due': (draft) => message(draft, { report: 'weekly' }),
    '*': (draft) => message(draft, {}),
  },
};

function message({ topic, now }: SampleDraft, more: object): object {
  return { type: topic, id: randomId(), at: now.toISOString(), ...more };
}
