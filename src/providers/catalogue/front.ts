// Front: application webhooks sign `time:body` and test the URL with a challenge; rule webhooks sign the body with HMAC-SHA1.
import { valueAt } from '../body/body.ts';
import { isChallenge, jsonAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const timeHeader = 'x-front-request-timestamp';
const signature = { at: header('x-front-signature'), encoding: 'base64' } as const;

export const front: Provider = {
  name: 'front',
  title: 'Front',
  docsUrl: 'https://dev.frontapp.com/docs/application-webhooks',
  facts:
    'Both signatures, milliseconds and the sync request D: dev.frontapp.com, application webhooks and rule webhooks. 5 minutes D: the same, security. The challenge back as JSON, bodies and retries T: several public receivers that agree.',
  scheme: alternatives(
    {
      headers: [timeHeader],
      scheme: hmac({
        message: [timestamp, ':', rawBody],
        signature,
        timestamp: { at: header(timeHeader), unit: 'ms' },
      }),
    },
    { headers: [], scheme: hmac({ message: rawBody, signature, hash: 'sha1' }) },
  ),
  secret: textSecret({
    label: 'Signing key or API secret',
    where:
      'Application webhook: Front → Settings → Developers → your app → Basic information → Signing key. Rule webhook: the API secret of the Webhooks app',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(json('payload.id'), json('id')),
    topic: json('type'),
  },
  headers: [timeHeader],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerSync }],
  retries: 'Wants a 2xx; application webhooks are tried up to three times more, rule webhooks never.',
  sending: { newId: () => randomId('evt_') },
  answers: 'unknown',
  setup: { url: 'Front → Settings → Developers → your app → Features → Webhooks; or the action of a rule' },
  samples: {
    inbound_received: event,
    conversation_archived: event,
    '*': event,
  },
};

/** Front sends this request whenever the webhook is saved. */
function answerSync(delivery: Delivery): HandshakeAnswer | undefined {
  const [challenge, ...more] = delivery.headers['x-front-challenge'] ?? [];
  if (more.length > 0 || !isChallenge(challenge)) return undefined;
  return valueAt(smallJsonBody(delivery, '"sync"'), ['type']) === 'sync'
    ? jsonAnswer({ challenge })
    : undefined;
}

function event({ topic, id, now }: SampleDraft): object {
  return {
    type: topic,
    authorization: { id: 'cmp_abc' },
    payload: {
      id,
      type: topic.replace('_received', ''),
      emitted_at: now.getTime() / 1000,
      conversation: { id: randomId('cnv_'), subject: 'The bell is silent', status: 'unassigned' },
      source: { _meta: { type: 'inboxes' }, data: [] },
    },
  };
}
