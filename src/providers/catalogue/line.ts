// LINE: base64 HMAC over the body, a batch of events; an empty batch tests the endpoint.
import { splitBody } from '../body/batch.ts';
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const line: Provider = {
  name: 'line',
  title: 'LINE',
  docsUrl: 'https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/',
  facts:
    'Signature, events and webhookEventId L: npm @line/bot-sdk, validateSignature and its types. That redeliveries keep the id, and the empty batch, T: several receivers that agree.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-line-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Channel secret',
    where: 'developers.line.biz/console → your channel → Basic settings → Channel secret',
  }),
  idIsSigned: true,
  events: {
    id: json('events.0.webhookEventId'),
    topic: json('events.0.type'),
    occurredAt: { at: json('events.0.timestamp'), unit: 'ms' },
    // The member beside the events names the account.
    items: (body) => splitBody(body, 'events'),
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerEmptyBatch }],
  retries: 'Wants a 2xx; tries again only where redelivery is switched on in the console.',
  sending: { newId: () => randomId('01').toUpperCase() },
  answers: { failure: { '5xx': 'if-asked' } },
  samples: {
    message: (draft) =>
      batch(draft, [
        [draft.id, { message: { id: String(randomNumber(14)), type: 'text', text: 'Ring' } }],
        [randomId(), { message: { id: String(randomNumber(14)), type: 'text', text: 'Ring again' } }],
      ]),
    follow: (draft) => batch(draft, [[draft.id, { follow: { isUnblocked: false } }]]),
    postback: (draft) => batch(draft, [[draft.id, { postback: { data: 'bell=ring' } }]]),
    '*': (draft) => batch(draft, [[draft.id, {}]]),
  },
};

/** The console's button "Verify". */
function answerEmptyBatch(delivery: Delivery): HandshakeAnswer | undefined {
  const events = valueAt(smallJsonBody(delivery, '"events"'), ['events']);
  return Array.isArray(events) && events.length === 0 ? emptyAnswer() : undefined;
}

function batch({ topic, now }: SampleDraft, events: readonly [id: string, more: object][]): object {
  return {
    destination: 'U8e742f61d673b39c7fff3cecb7536ef0',
    events: events.map(([webhookEventId, more]) => ({
      type: topic,
      ...more,
      webhookEventId,
      deliveryContext: { isRedelivery: false },
      timestamp: now.getTime(),
      source: { type: 'user', userId: 'U4af4980629da5fcb2d8d9b5e2f2a3c4d' },
      replyToken: randomId(),
      mode: 'active',
    })),
  };
}
