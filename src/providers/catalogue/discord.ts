// Discord: Ed25519 over `timestamp body`; interactions and webhook events under one application key.
import { emptyAnswer, jsonAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, EventDraft, HandshakeAnswer, Provider } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { formatTimestamp } from '../schemes/freshness.ts';
import { publicKey } from '../schemes/public-key.ts';
import { firstOf, header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const key = { format: 'raw-hex' } as const;

export const discord: Provider = {
  name: 'discord',
  title: 'Discord',
  docsUrl: 'https://docs.discord.com/developers/interactions/overview',
  facts:
    'Signature and interaction PING L: npm discord-interactions. PING, times without a zone (read as UTC) and retries of webhook events D: discord/discord-api-docs, webhook-events.mdx. Whether a retry is signed again is not documented, so its age may be the 10 min of the retries and 5 more.',
  // Discord's library does not check the age. Postbell rejects a replayed interaction by its age and its id.
  scheme: publicKey({
    kind: 'ed25519',
    key,
    message: [timestamp, rawBody],
    signature: { at: header('x-signature-ed25519'), encoding: 'hex' },
    timestamp: { at: header('x-signature-timestamp'), unit: 's', pastSeconds: 900 },
  }),
  secret: publicKeySecret({
    kind: 'ed25519',
    key,
    label: 'Public key',
    where: 'discord.com/developers → your application → General Information → Public Key',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: firstOf(json('event.type'), ['interaction.', json('type')]),
    occurredAt: { at: json('event.timestamp'), unit: 'iso-utc' },
  },
  headers: ['x-signature-timestamp'],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerPing }],
  retries:
    'Wants an answer within 3 s; events are tried again for up to 10 min, and stop after too many failures; interactions are not sent again. A wrong signature must get 401.',
  acceptedAnswer: answerAccepted,
  sending: { newId: () => String(randomNumber(14)) },
  // These facts concern webhook events: Discord never sends an interaction again.
  answers: {
    accepted:
      '204 to an event; to an interaction 200 {"type":5}, 6 or 8, so that the handler can answer later',
    failure: { '5xx': 'retried' },
  },
  samples: {
    'interaction.2': ({ id }) => ({
      id,
      application_id: '1053049266115768360',
      type: 2,
      token: 'A_UNIQUE_TOKEN',
      data: { id: '771825006014889984', name: 'bell', type: 1 },
      user: { id: '53908232506183680', username: 'ada' },
      version: 1,
    }),
    APPLICATION_AUTHORIZED: ({ topic, now }) => ({
      version: 1,
      application_id: '1053049266115768360',
      type: 1,
      event: {
        type: topic,
        timestamp: formatTimestamp(now, 'iso-utc'),
        data: { integration_type: 1, scopes: ['identify'], user: { id: String(randomNumber(14)) } },
      },
    }),
    '*': ({ topic, now }) => ({
      version: 1,
      type: 1,
      event: {
        type: topic,
        timestamp: formatTimestamp(now, 'iso-utc'),
        data: { id: String(randomNumber(14)) },
      },
    }),
  },
};

/** An interaction's PING has type 1 and no event; a webhook event's has type 0. */
function answerPing(delivery: Delivery): HandshakeAnswer | undefined {
  const body = smallJsonBody(delivery, '"type"');
  if (typeof body !== 'object' || body === null || !('type' in body) || 'event' in body) return undefined;
  if (body.type === 1) return jsonAnswer({ type: 1 });
  return body.type === 0 ? { status: 204, contentType: 'text/plain; charset=utf-8', body: '' } : undefined;
}

/**
 * The answer to an event is 204. An interaction needs an answer of its kind within 3 s; the handler follows up later.
 * Command or modal: deferred (5). Component: unchanged (6). Autocompletion: no choices (8).
 */
function answerAccepted(_delivery: Delivery, [event]: readonly EventDraft[]): HandshakeAnswer {
  switch (event?.topic) {
    case 'interaction.2':
    case 'interaction.5':
      return jsonAnswer({ type: 5 });
    case 'interaction.3':
      return jsonAnswer({ type: 6 });
    case 'interaction.4':
      return jsonAnswer({ type: 8, data: { choices: [] } });
    default:
      return emptyAnswer(204);
  }
}
