// Smartcar: hex HMAC over the body under the application management token; VERIFY expects an HMAC of its challenge.
import { createHmac } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import { isChallenge, jsonAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Source } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const smartcar: Provider = {
  name: 'smartcar',
  title: 'Smartcar',
  docsUrl: 'https://smartcar.com/docs/integrations/webhooks/overview',
  facts:
    'Signature and keyed answer L: npm smartcar, verifyPayload (which hashes the re-encoded body) and hashChallenge. VERIFY of versions 4.0 and 2.0, the answer to it and 15 s D: smartcar.com, VERIFY event. That VERIFY is signed, that eventId stays over retries, and the body T: Hookdeck.',
  scheme: hmac({ message: rawBody, signature: { at: header('sc-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Application management token',
    where: 'dashboard.smartcar.com → your application → Configuration → Application Management Token',
  }),
  idIsSigned: true,
  events: { id: json('eventId'), topic: firstOf(json('eventType'), json('eventName')) },
  // Answers only after verification: an HMAC of any text would be a valid signature for that text as body.
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerVerify }],
  retries: 'Wants a 2xx within 15 s; tries again with growing gaps.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    VEHICLE_STATE: (draft) =>
      event(draft, {
        triggers: [{ code: 'tractionbattery-stateofcharge', name: 'StateOfCharge' }],
        signals: [{ code: 'tractionbattery-stateofcharge', body: { unit: 'percent', value: 78 } }],
      }),
    VEHICLE_ERROR: (draft) =>
      event(draft, { errors: [{ type: 'PERMISSION', code: 'NULL', state: 'ERROR' }] }),
    VERIFY: (draft) => event(draft, { challenge: crypto.randomUUID() }),
    '*': (draft) => event(draft, {}),
  },
};

function answerVerify(delivery: Delivery, source: Source, secretIndex: number): HandshakeAnswer | undefined {
  const body = smallJsonBody(delivery, '"challenge"');
  const isOld = valueAt(body, ['eventName']) === 'verify';
  if (!isOld && valueAt(body, ['eventType']) !== 'VERIFY') return undefined;
  const challenge = valueAt(body, [isOld ? 'payload' : 'data', 'challenge']);
  if (!isChallenge(challenge)) return undefined;
  const key = source.secrets[secretIndex] ?? '';
  return jsonAnswer({ challenge: createHmac('sha256', key).update(challenge).digest('hex') });
}

function event({ topic, id, now }: SampleDraft, data: object): object {
  return {
    eventId: id,
    eventType: topic,
    vehicleId: crypto.randomUUID(),
    data,
    meta: {
      version: '4.0',
      deliveryId: crypto.randomUUID(),
      deliveredAt: now.getTime(),
      webhookId: randomId(),
      webhookName: 'Bells',
      mode: 'TEST',
    },
  };
}
