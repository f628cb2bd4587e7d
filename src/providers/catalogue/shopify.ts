// Shopify: base64 HMAC over the body; id and topic are in unsigned headers.

import type { Provider, SampleDraft, Scheme } from '../provider.ts';
import { listAt, nextLinkParam, type RecoverSpec, textAt } from '../recover.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, optional, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

const signedIn = (name: string): Scheme =>
  hmac({ message: rawBody, signature: { at: header(name), encoding: 'base64' } });

/** Their webhooks carry the object as the REST Admin API shows it; those of customers do not since API version 2025-01. */
const updateTopics: Readonly<Record<string, string>> = {
  orders: 'orders/updated',
  products: 'products/update',
};

interface Listed {
  resource: string;
  thing: Record<string, unknown>;
}

// There is no list of events. An object is listed once, by its newest state; a `page_info` stands with no other filter.
const recover: RecoverSpec = {
  key: '<client id>:<client secret> of your app in the Dev Dashboard, or its Admin API access token (shpat_…); with read_orders and read_products for what SHOPIFY_API_TOPICS names, and read_all_orders for orders older than 60 days',
  wants: {
    setting: 'TOPICS',
    example: 'the objects to ask for: orders, products or orders,products',
    pattern: /^(?:orders|products|orders,products|products,orders)$/,
  },
  authorize: (token) => ({ 'x-shopify-access-token': token }),
  token: {
    request: (key) => {
      const [id = '', secret] = key.split(':');
      if (secret === undefined) return undefined;
      const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret };
      return { path: '/admin/oauth/access_token', headers: {}, form: new URLSearchParams(form).toString() };
    },
    read: (json) => textAt(json, 'access_token'),
  },
  pull: {
    endpoint: 'GET /admin/api/2026-04/{orders,products}.json',
    page: ({ since, until, cursor, wanted }) => {
      const [resource = '', pageInfo = ''] = (cursor ?? wanted.split(',')[0] ?? '').split(' ');
      const filter = {
        updated_at_min: since.toISOString(),
        updated_at_max: until.toISOString(),
        ...(resource === 'orders' ? { status: 'any' } : {}),
      };
      return {
        path: `/admin/api/2026-04/${resource}.json`,
        query: { limit: '250', ...(pageInfo === '' ? filter : { page_info: pageInfo }) },
      };
    },
    read: ({ json: answer, link }, { cursor, wanted }) => {
      const resources = wanted.split(',');
      const [resource = ''] = (cursor ?? resources[0] ?? '').split(' ');
      const things = listAt(answer, resource);
      const items = Array.isArray(things) ? things.map((thing) => ({ resource, thing })) : things;
      const pageInfo = nextLinkParam(link, 'page_info');
      return {
        items,
        next: pageInfo === undefined ? resources[resources.indexOf(resource) + 1] : `${resource} ${pageInfo}`,
      };
    },
    body: (item) => (item as Listed).thing,
    made: {
      headers: madeHeaders,
      topicStart: startOf,
      idAt: 'id',
      timeAt: 'updated_at',
      settledMs: 15_300_000,
    },
  },
  lost: 'the single changes: an object that changed twice, or was created and changed, is one event of its newest state, orders/updated or products/update. Deletions; other objects; headers. Ids begin with `made:`, see [Events that Postbell makes](#events-that-postbell-makes)',
};

function startOf(item: unknown): string {
  return `${(item as Listed).resource}/`;
}

/** The id holds the time in UTC: the shop's own time zone may change. */
function madeHeaders(item: unknown): Record<string, string> | undefined {
  const { resource, thing } = item as Listed;
  const [id, updatedAt] = [textAt(thing, 'id'), textAt(thing, 'updated_at')];
  const updatedMs = Date.parse(updatedAt ?? '');
  if (id === undefined || Number.isNaN(updatedMs)) return undefined;
  const isNew = Date.parse(textAt(thing, 'created_at') ?? '') === updatedMs;
  const topic = isNew ? `${resource}/create` : (updateTopics[resource] ?? '');
  return {
    'x-shopify-topic': topic,
    'x-shopify-webhook-id': `${topic}:${id}:${new Date(updatedMs).toISOString()}`,
  };
}

export const shopify: Provider = {
  name: 'shopify',
  title: 'Shopify',
  docsUrl: 'https://shopify.dev/docs/apps/build/webhooks',
  facts:
    'Lists, their filters and paths L: npm @shopify/shopify-api, rest/admin/2026-04; page_info and 60 days D: shopify.dev, pagination and Order; token by client credentials D: shopify.dev, client secrets; that the webhook is serialised as the Admin API is, and the import after an outage D: shopify.dev, webhooks; customers D: shopify.dev changelog. Signature L: npm @shopify/shopify-api. Event id D: shopify.dev, ignore duplicates. Webhook id T. Retries D: shopify.dev changelog.',
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
  recover,
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
