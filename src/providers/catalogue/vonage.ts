// Vonage: a bearer JWT whose claim `payload_hash` is the hash of the body.
import { jsonAnswer } from '../handshake.ts';
import type { Provider } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, optional } from '../template/parts.ts';

export const vonage: Provider = {
  name: 'vonage',
  title: 'Vonage',
  docsUrl: 'https://developer.vonage.com/en/getting-started/concepts/webhooks',
  facts: 'Token and claim L: npm @vonage/jwt, which leaves the body hash to you. Ids and types M.',
  scheme: jwt({
    at: header('authorization'),
    prefix: 'Bearer ',
    bodyHash: { claim: 'payload_hash', encoding: 'hex' },
    leewaySeconds: 300,
    // Tokens may lack exp, and a retry may carry the first attempt's token.
    lifetimeSeconds: 24 * 3600,
    expires: false,
  }),
  secret: textSecret({
    label: 'Signature secret',
    where: 'dashboard.vonage.com → API settings → Signature secret',
  }),
  idIsSigned: true,
  events: {
    id: [json('message_uuid'), ':', firstOf(json('status'), 'inbound'), optional(':', json('timestamp'))],
    topic: firstOf(
      ['message.', json('status')],
      ['call.', json('call_status')],
      json('message_type'),
      json('type'),
    ),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  // An NCCO without actions, which a call requires; for a message any body is accepted.
  acceptedAnswer: jsonAnswer([]),
  retries: 'Wants a 2xx; tries again for up to 24 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'message.delivered': ({ id, now }) => ({
      message_uuid: id,
      to: '447700900000',
      from: '447700900001',
      timestamp: now.toISOString(),
      status: 'delivered',
      channel: 'sms',
    }),
    text: ({ id, now, topic }) => ({
      message_uuid: id,
      to: '447700900000',
      from: '447700900001',
      timestamp: now.toISOString(),
      message_type: topic,
      text: 'Ring the bell',
      channel: 'sms',
    }),
    '*': ({ id, now, topic }) => ({ message_uuid: id, timestamp: now.toISOString(), type: topic }),
  },
};
