// Viber: hex HMAC over the body under the bot's token; setting the webhook causes a special event.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, optional, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const viber: Provider = {
  name: 'viber',
  title: 'Viber',
  docsUrl: 'https://developers.viber.com/docs/api/rest-bot-api/',
  facts:
    'Signature and the event webhook L: npm viber-bot, MessageValidator and its test vector. Events and message_token L, its message types. Retries unknown.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-viber-content-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Authentication token',
    where: 'partners.viber.com → your bot → Token',
  }),
  idIsSigned: true,
  events: {
    // `delivered` and `seen` carry the token of their message, once for each user.
    id: [json('event'), ':', json('message_token'), optional(':', json('user_id'))],
    topic: json('event'),
    occurredAt: { at: json('timestamp'), unit: 'ms' },
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerSetUp }],
  retries: 'Wants 200; tries again, schedule unknown.',
  sending: { newId: () => String(randomNumber(14)) },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    message: (draft) =>
      event(draft, { sender: { id: randomId(), name: 'Ada' }, message: { type: 'text', text: 'Ring' } }),
    delivered: (draft) => event(draft, { user_id: randomId() }),
    subscribed: (draft) => event(draft, { user: { id: randomId(), name: 'Ada', language: 'en' } }),
    '*': (draft) => event(draft, {}),
  },
};

function answerSetUp(delivery: Delivery): HandshakeAnswer | undefined {
  return valueAt(smallJsonBody(delivery, '"webhook"'), ['event']) === 'webhook' ? emptyAnswer() : undefined;
}

function event({ topic, id, now }: SampleDraft, more: object): object {
  return { event: topic, timestamp: now.getTime(), message_token: Number(id) || id, ...more };
}
