// Fingerprint: `v1=` hex HMAC over the body; each identification has its id in the body.

import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const fingerprint: Provider = {
  name: 'fingerprint',
  title: 'Fingerprint',
  docsUrl: 'https://docs.fingerprint.com/docs/webhooks',
  facts:
    'Signature L: npm @fingerprint/node-sdk, isValidWebhookSignature. event_id and timestamp L: its type Event, which docs.fingerprint.com names as the body (requestId of older webhooks T: its former type VisitWebhook). Retries unknown.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('fpjs-event-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
  }),
  secret: textSecret({
    label: 'Encryption key of the webhook',
    where: 'dashboard.fingerprint.com → Webhooks → your webhook → Add encryption (enterprise plans)',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(json('event_id'), json('requestId')),
    // Fingerprint sends only one kind of event, and the body does not name it.
    topic: 'identification',
    occurredAt: { at: json('timestamp'), unit: 'ms' },
  },
  retries: 'Wants a 2xx; schedule unknown.',
  sending: { newId: () => `${Date.now()}.${randomId().slice(0, 6)}` },
  answers: 'unknown',
  samples: {
    identification: ({ id, now }) => ({
      event_id: id,
      timestamp: now.getTime(),
      linked_id: 'order-1001',
      url: 'https://shop.example.com/checkout',
      ip_address: '203.0.113.7',
      identification: { visitor_id: randomId().slice(0, 20), confidence: { score: 1 }, visitor_found: true },
      bot: 'not_detected',
      incognito: false,
    }),
  },
};
