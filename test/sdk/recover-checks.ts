// The stand-ins of the providers' APIs against the providers' own clients: each client reads our pages without complaint, to the end.
import { Octokit } from '@octokit/rest';
import { Client as OktaClient } from '@okta/okta-sdk-nodejs';
import { type Environment, Paddle } from '@paddle/paddle-node-sdk';
import { Polar } from '@polar-sh/sdk';
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, Session, shopifyApi } from '@shopify/shopify-api';
import { WorkOS } from '@workos-inc/node';
import Chargebee from 'chargebee';
import { Environments, GoCardlessClient } from 'gocardless-nodejs';
import { SquareClient } from 'square';
import Stripe from 'stripe';
import t from 'tap';
import { type Api, hookPath, type Listed, standIns, startApi, testKey } from '../pull/api.ts';

const startMs = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000;
const since = new Date(startMs - 1_000);
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const iso = (at: number) => new Date(at).toISOString();

/** Five events, of which a page has two. */
const five = (item: (id: string, at: number) => object, prefix: string): Listed[] =>
  [1, 2, 3, 4, 5].map((nth) => {
    const [id, at] = [`${prefix}${nth}`, startMs + nth * 1_000];
    return { id, at, item: item(id, at) };
  });

/** The ids that the provider's client reads. */
interface Client {
  listed: readonly Listed[];
  read(api: Api): Promise<(string | null | undefined)[]>;
}

const clients: Partial<Record<keyof typeof standIns, Client>> = {
  stripe: {
    listed: five(
      (id, at) => ({ id, object: 'event', type: 'invoice.paid', created: at / 1_000, data: { object: {} } }),
      'evt_',
    ),
    read: async ({ url }) => {
      const { hostname: host, port } = new URL(url);
      const stripe = new Stripe(testKey, { host, port, protocol: 'http', telemetry: false });
      const list = stripe.events.list({ limit: 2, created: { gte: Math.floor(since.getTime() / 1_000) } });
      return (await list.autoPagingToArray({ limit: 100 })).map(({ id }) => id);
    },
  },
  workos: {
    listed: five(
      (id, at) => ({
        object: 'event',
        id,
        event: 'user.created',
        created_at: iso(at),
        data: { object: 'user', id: 'user_1', metadata: {} },
      }),
      'event_',
    ),
    read: async ({ url }) => {
      const { hostname: apiHostname, port } = new URL(url);
      const workos = new WorkOS(testKey, { apiHostname, port: Number(port), https: false });
      const ids: string[] = [];
      let after: string | undefined;
      do {
        const page = await workos.events.listEvents({
          events: ['user.created'],
          ...(after === undefined ? { rangeStart: since.toISOString() } : { after }),
        });
        ids.push(...page.data.map(({ id }) => id));
        after = page.listMetadata?.after ?? undefined;
      } while (after);
      return ids;
    },
  },
  square: {
    listed: five(
      (id, at) => ({
        merchant_id: 'M',
        type: 'payment.updated',
        event_id: id,
        created_at: iso(at),
        data: {},
      }),
      'e-',
    ),
    read: async ({ url }) => {
      const square = new SquareClient({ token: testKey, baseUrl: url });
      const query = { filter: { createdAt: { startAt: since.toISOString(), endAt: iso(Date.now()) } } };
      const ids: (string | null | undefined)[] = [];
      let cursor: string | undefined;
      do {
        const page = await square.events.searchEvents({ query, limit: 2, ...(cursor ? { cursor } : {}) });
        ids.push(...(page.events ?? []).map(({ eventId }) => eventId));
        cursor = page.cursor;
      } while (cursor);
      return ids;
    },
  },
  paddle: {
    listed: five(
      (id, at) => ({
        event_id: id,
        event_type: 'customer.created',
        occurred_at: iso(at),
        data: { id: 'ctm_1', created_at: iso(at), updated_at: iso(at) },
      }),
      'evt_0',
    ),
    read: async ({ url }) => {
      const ids: string[] = [];
      const paddle = new Paddle(testKey, { environment: url as Environment });
      for await (const event of paddle.events.list({ orderBy: 'id[DESC]', perPage: 2 }))
        ids.push(event.eventId);
      return ids;
    },
  },
  polar: {
    listed: five((id, at) => {
      const times = { created_at: iso(at), modified_at: null };
      const event = { ...times, id, skipped: false, payload: '{}', type: 'order.paid', is_archived: false };
      return {
        ...times,
        id: `d-${id}`,
        succeeded: false,
        http_code: 500,
        response: null,
        webhook_event: event,
      };
    }, 'w-'),
    read: async ({ url }) => {
      const polar = new Polar({ accessToken: testKey, serverURL: url });
      const pages = await polar.webhooks.listWebhookDeliveries({
        startTimestamp: since,
        endTimestamp: new Date(),
        limit: 2,
      });
      const ids: string[] = [];
      for await (const { result } of pages)
        ids.push(...result.items.map(({ webhookEvent }) => webhookEvent.id));
      return ids;
    },
  },
  chargebee: {
    listed: five(
      (id, at) => ({
        id,
        object: 'event',
        occurred_at: at / 1_000,
        event_type: 'invoice_generated',
        content: {},
      }),
      'ev_',
    ),
    read: async ({ url }) => {
      // The client puts the host together of the site and a suffix.
      const chargebee = new Chargebee({
        site: '127',
        apiKey: testKey,
        hostSuffix: '.0.0.1',
        protocol: 'http',
        port: Number(new URL(url).port),
      } as never);
      const ids: string[] = [];
      let offset: string | undefined;
      do {
        const page = await chargebee.event.list({
          limit: 2,
          occurred_at: { between: [Math.floor(since.getTime() / 1_000), Math.ceil(Date.now() / 1_000)] },
          'sort_by[asc]': 'occurred_at',
          ...(offset === undefined ? {} : { offset }),
        });
        ids.push(...page.list.map(({ event }) => event.id));
        offset = page.next_offset;
      } while (offset !== undefined);
      return ids;
    },
  },
  github: {
    listed: five(
      (id, at) => ({ id: Number(id), guid: id, delivered_at: iso(at), event: 'push', status_code: 502 }),
      '10',
    ),
    read: async ({ url }) => {
      const octokit = new Octokit({ auth: testKey, baseUrl: url, log: silent });
      const [, owner, repo, , hook] = hookPath.split('/');
      const ids: string[] = [];
      let cursor: string | undefined;
      do {
        const { data, headers } = await octokit.rest.repos.listWebhookDeliveries({
          ...{ owner: owner!, repo: repo!, hook_id: Number(hook), per_page: 2 },
          ...(cursor === undefined ? {} : { cursor }),
        });
        ids.push(...data.map(({ guid }) => guid));
        // Not by its own paging: the link leads to GitHub itself.
        cursor = /[?&]cursor=([^&>]+)[^>]*>; rel="next"/.exec(headers.link ?? '')?.[1];
      } while (cursor !== undefined);
      return ids;
    },
  },
  gocardless: {
    listed: five(
      (id, at) => ({ id, created_at: iso(at), resource_type: 'mandates', action: 'created', links: {} }),
      'EV0',
    ),
    read: async ({ url }) => {
      const gocardless = new GoCardlessClient(testKey, Environments.Sandbox);
      // The client knows GoCardless' two addresses only.
      Object.assign((gocardless as unknown as { _api: object })._api, { _baseUrl: url });
      const ids: (string | undefined)[] = [];
      for await (const { id } of gocardless.events.all({
        created_at: { gte: since.toISOString() },
        limit: '2',
      } as never))
        ids.push(id);
      return ids;
    },
  },
  okta: {
    listed: five((id, at) => ({ uuid: id, eventType: 'user.session.start', published: iso(at) }), 'u-'),
    read: async ({ url }) => {
      const okta = new OktaClient({ orgUrl: url, token: testKey });
      const logs = await okta.systemLogApi.listLogEvents({
        ...{ since: since.toISOString(), until: iso(Date.now()), limit: 2 },
        filter: 'eventType eq "user.session.start"',
      });
      const ids: (string | undefined)[] = [];
      for await (const log of logs) if (log) ids.push(log.uuid);
      return ids;
    },
  },
  shopify: {
    listed: five(
      (id, at) => ({ id: Number(id.slice(-1)), created_at: iso(startMs), updated_at: iso(at) }),
      'orders/',
    ),
    read: async ({ url }) => {
      const { host } = new URL(url);
      const { clients } = shopifyApi({
        ...{ apiKey: 'key', apiSecretKey: 'secret', apiVersion: ApiVersion.April26, isEmbeddedApp: false },
        ...{ hostName: host, hostScheme: 'http', logger: { log: () => {} } },
      });
      const session = new Session({ id: '1', shop: host, state: '', isOnline: false, accessToken: testKey });
      const rest = new clients.Rest({ session });
      const ids: string[] = [];
      const readFrom = async (page: Parameters<typeof rest.get>[0]): Promise<void> => {
        const { body, pageInfo } = await rest.get<{ orders: { id: number }[] }>(page);
        ids.push(...body.orders.map(({ id }) => `orders/${id}`));
        if (pageInfo?.nextPage) await readFrom(pageInfo.nextPage);
      };
      await readFrom({
        path: 'orders',
        query: {
          status: 'any',
          updated_at_min: since.toISOString(),
          updated_at_max: iso(Date.now()),
          limit: 2,
        },
      });
      return ids;
    },
  },
};

// PayPal's one package with these calls is no longer maintained, and asks nobody but PayPal.

for (const [name, { listed, read }] of Object.entries(clients))
  t.test(`${name}: its own client reads every page of the stand-in`, async (t) => {
    const api = await startApi(t, (call) => standIns[name as keyof typeof standIns](listed, call, 2));
    t.same((await read(api)).toSorted(), listed.map(({ id }) => id).toSorted());
    t.ok(api.calls.length >= 3);
  });
