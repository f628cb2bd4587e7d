// Intercom: `sha1=` hex HMAC-SHA1 over the body; a HEAD tests the URL, a ping without an id tests the endpoint.
import { valueAt } from '../body/body.ts';
import { bareRequest, emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

export const intercom: Provider = {
  name: 'intercom',
  title: 'Intercom',
  docsUrl: 'https://developers.intercom.com/docs/webhooks',
  facts:
    'Signature T: Trigger.dev, Hookdeck, several receivers that agree. Body T, shape of its notifications. Ping T: test data of serverless-offline. HEAD when the URL is typed in D: developers.intercom.com, setting up webhooks. Throttling, pauses, suspension and priorities D: the same, delivering webhook notifications. Deadline T.',
  scheme: hmac({
    hash: 'sha1',
    message: rawBody,
    signature: { at: header('x-hub-signature'), encoding: 'hex', prefix: 'sha1=' },
  }),
  secret: textSecret({ label: 'Client secret', where: 'Developer Hub → your app → Basic information' }),
  idIsSigned: true,
  // delivery_attempts and first_sent_at differ between attempts; the id does not.
  events: { id: json('id'), topic: json('topic'), occurredAt: { at: json('created_at'), unit: 's' } },
  handshakes: [bareRequest('HEAD'), { method: 'POST', phase: 'verified', answer: answerPing }],
  retries:
    'Wants a 2xx within 5 s, best within 0.5 s; 429 slows deliveries down for 1 min to 2 h, 1,000 errors in 15 min pause them for 15 min; private apps are suspended after seven days of errors.',
  sending: { newId: () => `notif_${crypto.randomUUID()}` },
  answers: { failure: { 429: 'retried' } },
  samples: {
    'conversation.user.created': (draft) => notification(draft, { type: 'conversation', state: 'open' }),
    'contact.user.created': (draft) =>
      notification(draft, { type: 'contact', role: 'user', email: 'ada@example.com' }),
    'ticket.created': (draft) => notification(draft, { type: 'ticket', ticket_state: 'submitted' }),
    '*': (draft) => notification(draft, { type: 'contact' }),
  },
};

function answerPing(delivery: Delivery): HandshakeAnswer | undefined {
  return valueAt(smallJsonBody(delivery, '"ping"'), ['topic']) === 'ping' ? emptyAnswer() : undefined;
}

function notification({ topic, id, now }: SampleDraft, item: object): object {
  const seconds = unixSeconds(now);
  return {
    type: 'notification_event',
    app_id: 'a86dr8yl',
    data: {
      type: 'notification_event_data',
      item: { id: randomId(), ...item, external_id: String(randomNumber(6)) },
    },
    links: {},
    id,
    topic,
    delivery_status: 'pending',
    delivery_attempts: 1,
    delivered_at: 0,
    first_sent_at: seconds,
    created_at: seconds,
    self: null,
  };
}
