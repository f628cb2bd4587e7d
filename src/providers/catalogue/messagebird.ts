// MessageBird (Bird): a JWT with hashes of the URL and of the body.

import type { Provider, SampleDraft } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, optional } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const messagebird: Provider = {
  name: 'messagebird',
  title: 'MessageBird',
  docsUrl: 'https://developers.messagebird.com/api/#verifying-http-requests',
  facts:
    'Token, issuer and both hashes L: npm messagebird, webhook-signature-jwt. It allows clocks 5 s apart; we 60 s. Ids and types M: without a message id the hash of the body is the id.',
  scheme: jwt({
    at: header('messagebird-signature-jwt'),
    bodyHash: { claim: 'payload_hash', encoding: 'hex', absentIfEmpty: true },
    url: { claim: 'url_hash', encoding: 'hex' },
    issuerOf: () => 'MessageBird',
    leewaySeconds: 60,
    lifetimeSeconds: 60,
    expires: true,
  }),
  secret: textSecret({
    label: 'Signing key',
    where: 'dashboard.messagebird.com → Developer settings → Signed requests',
  }),
  idIsSigned: true,
  events: {
    // A message passes through several states; each state is an event.
    id: [
      json('message.id'),
      ':',
      json('type'),
      ':',
      // Two changes can fall into one second.
      firstOf(
        [json('message.updatedDatetime'), optional(':', json('message.status'))],
        json('message.status'),
      ),
    ],
    topic: [firstOf(json('type'), 'message'), optional('.', json('message.status'))],
    occurredAt: { at: json('message.updatedDatetime'), unit: 'iso' },
  },
  retries: 'Wants a 2xx; tries again with growing gaps.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'message.updated.delivered': (draft) => message(draft),
    'message.created.received': (draft) => message(draft),
    '*': ({ topic, id }) => ({ type: topic, message: { id } }),
  },
};

function message({ topic, id, now }: SampleDraft): object {
  const [kind, action, status] = topic.split('.');
  const at = now.toISOString();
  return {
    type: `${kind}.${action}`,
    contact: { id: randomId(), msisdn: 447700900000 },
    message: {
      id,
      status,
      type: 'text',
      content: { text: 'Ring' },
      createdDatetime: at,
      updatedDatetime: at,
    },
  };
}
