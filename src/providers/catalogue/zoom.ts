// Zoom: `v0=` hex HMAC over `v0:timestamp:body`, and a handshake that expects an HMAC of its token.
import { createHmac } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import { isChallenge, jsonAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Source } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const zoom: Provider = {
  name: 'zoom',
  title: 'Zoom',
  docsUrl: 'https://developers.zoom.us/docs/api/webhooks/',
  facts: 'Signature and handshake L: npm @zoom/rivet. Retries D: developers.zoom.us, blog on webhook delays.',
  scheme: hmac({
    message: ['v0:', timestamp, ':', rawBody],
    signature: { at: header('x-zm-signature'), encoding: 'hex', prefix: 'v0=' },
    // Zoom's library does not check the age. A retry may carry the first attempt's time.
    timestamp: { at: header('x-zm-request-timestamp'), unit: 's', pastSeconds: 24 * 3600 },
  }),
  secret: textSecret({
    label: 'Secret token',
    where: 'marketplace.zoom.us → Manage → your app → Features → Access → Secret Token',
  }),
  idIsSigned: true,
  events: { topic: json('event'), occurredAt: { at: json('event_ts'), unit: 'ms' } },
  headers: ['x-zm-request-timestamp', 'x-zm-trackingid'],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerValidation }],
  retries: 'Wants 200 or 204 within 3 s; three retries, after 5, 20 and 60 min.',
  answers: { success: [200, 204], failure: { '5xx': 'retried' } },
  samples: {
    'meeting.started': (draft) => meeting(draft),
    'meeting.ended': (draft) => meeting(draft),
    'endpoint.url_validation': ({ topic, now }) => ({
      payload: { plainToken: randomId() },
      event_ts: now.getTime(),
      event: topic,
    }),
    '*': (draft) => meeting(draft),
  },
};

function answerValidation(
  delivery: Delivery,
  source: Source,
  secretIndex: number,
): HandshakeAnswer | undefined {
  const body = smallJsonBody(delivery, '"endpoint.url_validation"');
  const plainToken = valueAt(body, ['payload', 'plainToken']);
  if (valueAt(body, ['event']) !== 'endpoint.url_validation' || !isChallenge(plainToken)) return undefined;
  const encryptedToken = createHmac('sha256', source.secrets[secretIndex] ?? '')
    .update(plainToken)
    .digest('hex');
  return jsonAnswer({ plainToken, encryptedToken });
}

function meeting({ topic, now }: SampleDraft): object {
  return {
    event: topic,
    payload: {
      account_id: 'AAAAAABBBB',
      object: {
        id: String(randomNumber(11)),
        uuid: randomId(),
        topic: 'Bells',
        start_time: now.toISOString(),
      },
    },
    event_ts: now.getTime(),
  };
}
