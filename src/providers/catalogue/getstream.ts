// Stream (Chat, Video, Feeds): bare hex HMAC over the body; the id is in an unsigned header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const getstream: Provider = {
  name: 'getstream',
  title: 'Stream (getstream.io)',
  docsUrl: 'https://getstream.io/chat/docs/node/webhooks_overview/',
  facts:
    'Signature L: npm stream-chat, verifyWebhook. X-Webhook-Id kept over retries, X-Webhook-Attempt, deadlines and attempts D: getstream.io/chat/docs, webhooks overview and push webhook. Bodies compressed by setting L: they are answered with 415.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'API secret',
    where: 'dashboard.getstream.io → your app → API secret; leave compression of webhooks off',
  }),
  idIsSigned: false,
  events: {
    id: header('x-webhook-id'),
    topic: json('type'),
    occurredAt: { at: json('created_at'), unit: 'iso' },
  },
  headers: ['x-webhook-id', 'x-webhook-attempt'],
  retries: 'Wants a 2xx within 6 s; up to 3 attempts within 15 s.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id }) => ({ 'x-webhook-id': id, 'x-webhook-attempt': '1' }),
  },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'message.new': (draft) =>
      event(draft, { message: { id: crypto.randomUUID(), text: 'Ring the bell', type: 'regular' } }),
    'message.deleted': (draft) =>
      event(draft, { message: { id: crypto.randomUUID(), text: 'Ring', type: 'deleted' } }),
    'member.added': (draft) => event(draft, { member: { user_id: randomId(), role: 'member' } }),
    '*': (draft) => event(draft, { nonce: randomId() }),
  },
};

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    type: topic,
    cid: 'messaging:bell',
    channel_type: 'messaging',
    channel_id: 'bell',
    user: { id: 'ada', role: 'user' },
    created_at: now.toISOString(),
    ...more,
  };
}
