// Twitch EventSub: `sha256=` hex HMAC over id, timestamp and body; a signed challenge, and revocations.
import { splitBody } from '../body/batch.ts';
import { valueAt } from '../body/body.ts';
import { smallJsonBody, textAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, rawBody, timestamp } from '../template/parts.ts';
import { readText } from '../template/reading.ts';

const idHeader = 'twitch-eventsub-message-id';
const timeHeader = 'twitch-eventsub-message-timestamp';
const typeHeader = 'twitch-eventsub-message-type';

export const twitch: Provider = {
  name: 'twitch',
  title: 'Twitch EventSub',
  docsUrl: 'https://dev.twitch.tv/docs/eventsub/handling-webhook-events/',
  facts:
    'Message types, nanoseconds, and that duplicates bear one message id D: dev.twitch.tv, handling webhook events and EventSub. Signature, 10 minutes, bare challenge and batches L: npm @twurple/eventsub-http (community). Deadline D, retries M.',
  scheme: hmac({
    message: [header(idHeader), timestamp, rawBody],
    signature: { at: header('twitch-eventsub-message-signature'), encoding: 'hex', prefix: 'sha256=' },
    timestamp: { at: header(timeHeader), unit: 'iso', pastSeconds: 600 },
  }),
  secret: textSecret({
    label: 'Secret',
    format: 'your own choice of 16 to 100 characters, used as text',
    where: 'Chosen by you: transport.secret when you make the subscription',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(json('events.0.id'), header(idHeader)),
    topic: computed(topicOf),
    occurredAt: { at: header(timeHeader), unit: 'iso' },
    // drop.entitlement.grant may come in batches.
    items: (body) => splitBody(body, 'events'),
  },
  headers: [
    idHeader,
    timeHeader,
    typeHeader,
    'twitch-eventsub-message-retry',
    'twitch-eventsub-subscription-type',
  ],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerChallenge }],
  retries: 'Wants a 2xx within a few seconds; tries again, and revokes subscriptions that fail too often.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id, topic }) => ({
      [idHeader]: id,
      [typeHeader]: topic === 'revocation' ? topic : 'notification',
    }),
  },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'channel.follow': (draft) => notification(draft, { user_id: '1337', user_name: 'Ada' }),
    'stream.online': (draft) => notification(draft, { id: '9001', type: 'live' }),
    revocation: (draft) => ({ subscription: subscription(draft, 'channel.follow', 'authorization_revoked') }),
    '*': (draft) => notification(draft, {}),
  },
};

/** Decided by the body: the header of the same meaning is not signed. */
function answerChallenge(delivery: Delivery): HandshakeAnswer | undefined {
  const body = smallJsonBody(delivery, '"webhook_callback_verification_pending"');
  const status = valueAt(body, ['subscription', 'status']);
  return status === 'webhook_callback_verification_pending'
    ? textAnswer(valueAt(body, ['challenge']))
    : undefined;
}

/** The subscription's type; `revocation` where Twitch has ended the subscription and sends no event. */
function topicOf(reading: Reading): string | undefined {
  const value = reading.item ?? reading.decoded?.value;
  const hasEvent = valueAt(value, ['event']) !== undefined || valueAt(value, ['events']) !== undefined;
  const status = readText(json('subscription.status'), reading);
  if (!hasEvent && status !== undefined && status !== 'enabled') return 'revocation';
  return readText(json('subscription.type'), reading);
}

function notification(draft: SampleDraft, event: object): object {
  return {
    subscription: subscription(draft, draft.topic, 'enabled'),
    event: { broadcaster_user_id: '12826', broadcaster_user_name: 'Bells', ...event },
  };
}

function subscription({ now }: SampleDraft, type: string, status: string): object {
  return {
    id: crypto.randomUUID(),
    status,
    type,
    version: '1',
    cost: 1,
    condition: { broadcaster_user_id: '12826' },
    transport: { method: 'webhook', callback: 'https://shop.example.com/api/webhooks/twitch' },
    created_at: now.toISOString(),
  };
}
