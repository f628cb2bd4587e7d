// Postmark: nothing is signed; user name and password stand in the webhook URL and come as basic auth.

import type { Provider } from '../provider.ts';
import { firstOf, json } from '../template/parts.ts';
import { basicAuth } from './basic-auth.ts';
import { randomNumber } from './sample.ts';

export const postmark: Provider = {
  name: 'postmark',
  title: 'Postmark',
  docsUrl: 'https://postmarkapp.com/developer/webhooks/webhooks-overview',
  facts:
    'Basic auth and record types T: Hookdeck. Retries of inbound mail D: postmarkapp.com/support, inbound webhook retries. Sizes D: postmarkapp.com, attachment and email size limits.',
  ...basicAuth(
    'Chosen by you: in Postmark the webhook URL is https://user:password@…, or Basic auth credentials',
  ),
  // Opens and clicks of one message share its MessageID, so only a bounce's ID is an id; otherwise the body's hash is.
  idIsSigned: true,
  events: {
    id: [json('RecordType'), ':', json('ID')],
    topic: firstOf(json('RecordType'), 'Inbound'),
    occurredAt: {
      at: firstOf(json('DeliveredAt'), json('BouncedAt'), json('ReceivedAt'), json('ChangedAt')),
      unit: 'iso',
    },
  },
  retries:
    'Wants 200; inbound mail is tried 10 times in 10.5 h, other events for a shorter time M; 403 ends the retries at once.',
  answers: { success: [200], failure: { 403: 'final', any: 'retried' } },
  // Inbound mail: up to 35 MB of attachments, a third longer as base64.
  bodyLimitBytes: 50_331_648,
  samples: {
    Delivery: ({ topic, now }) => ({
      RecordType: topic,
      MessageID: crypto.randomUUID(),
      Recipient: 'ada@example.com',
      DeliveredAt: now.toISOString(),
      Details: '250 OK',
      MessageStream: 'outbound',
    }),
    Bounce: ({ topic, now }) => ({
      RecordType: topic,
      ID: randomNumber(14),
      Type: 'HardBounce',
      MessageID: crypto.randomUUID(),
      Email: 'ada@example.com',
      BouncedAt: now.toISOString(),
    }),
    Inbound: ({ now }) => ({
      MessageID: crypto.randomUUID(),
      From: 'ada@example.com',
      Subject: 'Ring',
      TextBody: 'Ring the bell',
      Date: now.toUTCString(),
    }),
    '*': ({ topic, now }) => ({
      RecordType: topic,
      MessageID: crypto.randomUUID(),
      ReceivedAt: now.toISOString(),
    }),
  },
};
