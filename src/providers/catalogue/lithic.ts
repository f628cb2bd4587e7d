// Lithic: Standard Webhooks; the type is `event_type`, the id only in the signed header.
import { firstOf, json } from '../parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const lithic = standardSender({
  name: 'lithic',
  title: 'Lithic',
  docsUrl: 'https://docs.lithic.com/docs/events-api',
  facts:
    'Signature and event_type L: npm lithic, webhooks.verifySignature and webhooks.d.ts. Retries unknown.',
  secret: { where: 'From the API: GET /v1/event_subscriptions/{token}/secret, or the dashboard' },
  topic: firstOf(json('event_type'), json('type')),
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    'card_transaction.updated': ({ topic }) => ({
      event_type: topic,
      token: crypto.randomUUID(),
      amount: 4200,
      status: 'SETTLED',
      merchant: { descriptor: 'BELL SHOP' },
    }),
    'card.created': ({ topic }) => ({ event_type: topic, card_token: crypto.randomUUID() }),
    '*': ({ topic }) => ({ event_type: topic, token: randomId() }),
  },
});
