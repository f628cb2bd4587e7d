// Shopify: base64 HMAC over the body; id and topic are in unsigned headers.

import type { Provider, SampleDraft, Scheme } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, optional, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

const signedIn = (name: string): Scheme =>
  hmac({ message: rawBody, signature: { at: header(name), encoding: 'base64' } });

export const shopify: Provider = {
  name: 'shopify',
  title: 'Shopify',
  docsUrl: 'https://shopify.dev/docs/apps/build/webhooks',
  facts:
    'Signature L: npm @shopify/shopify-api. Event id D: shopify.dev, ignore duplicates. Webhook id T. Retries D: shopify.dev changelog.',
  scheme: alternatives(
    { headers: ['x-shopify-hmac-sha256'], scheme: signedIn('x-shopify-hmac-sha256') },
    { headers: ['shopify-hmac-sha256'], scheme: signedIn('shopify-hmac-sha256') },
  ),
  secret: textSecret({
    label: 'Client secret',
    where:
      'Dev Dashboard → your app → Settings → Client secret (store webhooks: Settings → Notifications → Webhooks)',
    format: 'text: shpss_… or 32 to 64 hexadecimal digits',
  }),
  idIsSigned: false,
  events: {
    // X-Shopify-Webhook-Id belongs to one event and subscription, and stays the same over retries. All subscriptions on an
    // event share X-Shopify-Event-Id: where one change causes two topics of one source (orders/updated and orders/paid),
    // the second event would be lost as a duplicate.
    id: firstOf(
      header('x-shopify-webhook-id'),
      header('shopify-webhook-id'),
      [header('x-shopify-event-id'), optional(':', header('x-shopify-topic'))],
      [header('shopify-event-id'), optional(':', header('shopify-topic'), '/', header('shopify-action'))],
    ),
    topic: firstOf(header('x-shopify-topic'), [
      header('shopify-topic'),
      optional('/', header('shopify-action')),
    ]),
    occurredAt: {
      at: firstOf(header('x-shopify-triggered-at'), header('shopify-triggered-at'), json('updated_at')),
      unit: 'iso',
    },
  },
  headers: [
    'x-shopify-topic',
    'x-shopify-webhook-id',
    'x-shopify-event-id',
    'x-shopify-shop-domain',
    'x-shopify-api-version',
    'x-shopify-triggered-at',
    'shopify-topic',
    'shopify-action',
    'shopify-webhook-id',
    'shopify-event-id',
    'shopify-shop-domain',
    'shopify-api-version',
    'shopify-triggered-at',
  ],
  retries: 'Wants 200 within 5 s; 8 retries over 4 h, then the subscription may be removed.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic, id, now }) => ({
      'x-shopify-topic': topic,
      'x-shopify-webhook-id': id,
      'x-shopify-event-id': crypto.randomUUID(),
      'x-shopify-shop-domain': 'example.myshopify.com',
      'x-shopify-api-version': '2026-07',
      'x-shopify-triggered-at': now.toISOString(),
    }),
  },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'orders/create': (draft) => order(draft, 'pending'),
    'orders/paid': (draft) => order(draft, 'paid'),
    'orders/updated': (draft) => order(draft, 'paid'),
    'customers/create': ({ now }) => ({
      id: randomNumber(13),
      email: 'ada@example.com',
      first_name: 'Ada',
      last_name: 'Lovelace',
      created_at: now.toISOString(),
      updated_at: now.toISOString(),
    }),
    'app/uninstalled': ({ now }) => ({
      id: randomNumber(11),
      name: 'Example',
      domain: 'example.com',
      myshopify_domain: 'example.myshopify.com',
      updated_at: now.toISOString(),
    }),
    '*': ({ now }) => ({
      id: randomNumber(13),
      admin_graphql_api_id: `gid://shopify/Object/${randomId()}`,
      updated_at: now.toISOString(),
    }),
  },
};

function order({ now }: SampleDraft, financialStatus: string): object {
  const id = randomNumber(13);
  return {
    id,
    admin_graphql_api_id: `gid://shopify/Order/${id}`,
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    currency: 'EUR',
    email: 'ada@example.com',
    financial_status: financialStatus,
    fulfillment_status: null,
    name: '#1001',
    order_number: 1001,
    total_price: '42.00',
    customer: { id: randomNumber(13), email: 'ada@example.com', first_name: 'Ada', last_name: 'Lovelace' },
    line_items: [{ id: randomNumber(14), title: 'Brass bell', quantity: 1, price: '42.00', sku: 'BELL-1' }],
  };
}
