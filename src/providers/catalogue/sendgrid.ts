// SendGrid event webhook: ECDSA over `timestamp body`, a JSON array of events in each delivery.

import type { Provider, SampleDraft } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { publicKey } from '../schemes/public-key.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';

const key = { format: 'spki' } as const;

export const sendgrid: Provider = {
  name: 'sendgrid',
  title: 'SendGrid',
  docsUrl:
    'https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features',
  facts:
    'Signature L: npm @sendgrid/eventwebhook. sg_event_id is unique D, and retries for 24 h after the event D: twilio.com/docs, event webhook reference and troubleshooting. Whether a retry is signed again is not documented: an hour more than they last is accepted.',
  scheme: publicKey({
    kind: 'ecdsa-p256',
    key,
    message: [timestamp, rawBody],
    signature: { at: header('x-twilio-email-event-webhook-signature'), encoding: 'base64' },
    // SendGrid's library does not check the age. A retry may carry the first attempt's time. Retries last a day; one hour
    // more accepts the last retry.
    timestamp: { at: header('x-twilio-email-event-webhook-timestamp'), unit: 's', pastSeconds: 25 * 3600 },
  }),
  secret: publicKeySecret({
    kind: 'ecdsa-p256',
    key,
    label: 'Verification key',
    where: 'Settings → Mail Settings → Event Webhooks → your webhook → Signature verification',
  }),
  idIsSigned: true,
  events: {
    id: json('sg_event_id'),
    topic: json('event'),
    occurredAt: { at: json('timestamp'), unit: 's' },
    items: (body) => body,
  },
  headers: ['x-twilio-email-event-webhook-timestamp'],
  retries: 'Wants a 2xx; tries again for up to 24 h.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    delivered: (draft) => [event(draft, draft.id), event({ ...draft, topic: 'delivered' }, randomId())],
    open: (draft) => [event(draft, draft.id)],
    bounce: (draft) => [{ ...event(draft, draft.id), reason: '550 5.1.1 no such user', status: '5.1.1' }],
    '*': (draft) => [event(draft, draft.id)],
  },
};

function event({ topic, now }: SampleDraft, id: string): object {
  return {
    email: 'ada@example.com',
    event: topic,
    sg_event_id: id,
    sg_message_id: `${randomId()}.filter0001.16648.5515E0B88.0`,
    'smtp-id': `<${randomId()}@example.com>`,
    timestamp: unixSeconds(now),
  };
}
