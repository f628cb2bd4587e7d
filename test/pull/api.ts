// Stand-ins for the providers' APIs, on a real socket: each answers from one list of events as the provider documents it.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';

export interface ApiCall {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export interface ApiReply {
  status?: number;
  headers?: Record<string, string>;
  /** Text is sent as it is, anything else as JSON. */
  body?: unknown;
}

export interface Api {
  url: string;
  calls: ApiCall[];
  /** A test sets its own to misbehave. */
  reply: (call: ApiCall) => ApiReply | Promise<ApiReply>;
}

export async function startApi(t: Test, reply: Api['reply']): Promise<Api> {
  const api: Api = { url: '', calls: [], reply };
  const server = http.createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://api');
    const body = Buffer.concat(await request.toArray()).toString();
    const call = {
      method: request.method!,
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body,
    };
    api.calls.push(call);
    const { status = 200, headers = {}, body: answer } = await api.reply(call);
    if (status === 0) return void response.destroy();
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(answer === undefined || typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  atEnd(t, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return api;
}

/** An event of a provider: what the API lists, oldest first. */
export interface Listed {
  id: string;
  /** ms since 1970. */
  at: number;
  /** As the API shows it, and for a pulled source as the webhook's body has it. */
  item: object;
}

/** @param maxPage items of a page at most */
export type StandIn = (events: readonly Listed[], call: ApiCall, maxPage?: number) => ApiReply;

const refused: ApiReply = { status: 401, body: { error: 'unauthorized' } };
const notFound: ApiReply = { status: 404, body: { error: 'not found' } };
export const testKey = 'rk_test_0123456789abcdef';
const hasAuthorization = ({ headers }: ApiCall, value: string) => headers.authorization === value;
/** The scheme's case does not matter, as HTTP has it: Paddle's own client writes `bearer`. */
const hasBearer = ({ headers: { authorization = '' } }: ApiCall, key = testKey) =>
  authorization.replace(/^bearer /i, '') === key;
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
const numberOf = ({ query }: ApiCall, name: string, fallback: number) => Number(query.get(name) ?? fallback);
const timeOf = ({ query }: ApiCall, name: string) => Date.parse(query.get(name) ?? '1970-01-01T00:00:00Z');
const byId = (events: readonly Listed[], id: string | null) =>
  id === null ? 0 : events.findIndex((event) => event.id === id) + 1;
const newestFirst = (events: readonly Listed[]) => events.toReversed();
const items = (events: readonly Listed[]) => events.map(({ item }) => item);

/** Newest first; `starting_after` an id; `created[gte]` in seconds. */
const stripe: StandIn = (events, call, maxPage = 100) => {
  if (!hasBearer(call)) return refused;
  if (call.path !== '/v1/events') return notFound;
  const all = newestFirst(events.filter(({ at }) => at >= numberOf(call, 'created[gte]', 0) * 1_000));
  const from = byId(all, call.query.get('starting_after'));
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 10));
  return {
    body: { object: 'list', url: '/v1/events', has_more: to < all.length, data: items(all.slice(from, to)) },
  };
};

export const hookPath = 'repos/octocat/hello/hooks/7';

/** Newest first; a cursor in the header Link, which names GitHub's own host. The list's items are deliveries. */
const github: StandIn = (events, call, maxPage = 100) => {
  // Octokit writes `token`.
  if (!hasBearer(call) && !hasAuthorization(call, `token ${testKey}`)) return refused;
  const again = new RegExp(`^/${hookPath}/deliveries/\\d+/attempts$`).test(call.path);
  if (again && call.method === 'POST') return { status: 202, body: {} };
  if (call.path !== `/${hookPath}/deliveries`) return notFound;
  const all = newestFirst(events);
  const from = Number((call.query.get('cursor') ?? 'v1_0').slice(3));
  const to = from + Math.min(maxPage, numberOf(call, 'per_page', 30));
  const link = `<https://api.github.com/repositories/1/hooks/7/deliveries?per_page=100&cursor=v1_${to}>; rel="next"`;
  return { ...(to < all.length ? { headers: { link } } : {}), body: items(all.slice(from, to)) };
};

/** Oldest first; `range_start` or `after`, never both; the types are named. */
const workos: StandIn = (events, call, maxPage = 100) => {
  if (!hasBearer(call)) return refused;
  if (call.path !== '/events') return notFound;
  if (call.query.has('after') && call.query.has('range_start')) return { status: 422, body: {} };
  const types = call.query.getAll('events');
  if (types.length === 0) return { status: 422, body: { message: 'events must be an array' } };
  const all = events.filter(
    ({ at, item }) => at >= timeOf(call, 'range_start') && types.includes((item as { event: string }).event),
  );
  const from = byId(all, call.query.get('after'));
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 10));
  const data = all.slice(from, to);
  const after = to < all.length ? data.at(-1)!.id : null;
  return { body: { object: 'list', data: items(data), list_metadata: { before: null, after } } };
};

/** By a search; the cursor goes with the original query. */
const square: StandIn = (events, call, maxPage = 100) => {
  if (!hasBearer(call) || !call.headers['square-version']) return refused;
  if (call.path !== '/v2/events' || call.method !== 'POST') return notFound;
  const { cursor = '0', limit = 100, query } = JSON.parse(call.body);
  const { start_at, end_at } = query.filter.created_at;
  const all = events.filter(({ at }) => at >= Date.parse(start_at) && at <= Date.parse(end_at));
  const to = Number(cursor) + Math.min(maxPage, limit);
  if (all.length === 0) return { body: {} };
  return {
    body: { events: items(all.slice(Number(cursor), to)), cursor: to < all.length ? String(to) : '' },
  };
};

/** Both lists by id, newest first; the next page is a whole address, there also after the last page. */
const paddle: StandIn = (events, call, maxPage = 200) => {
  if (!hasBearer(call)) return refused;
  if (/^\/notifications\/ntf_\w+\/replay$/.test(call.path) && call.method === 'POST')
    return { status: 202, body: { data: { notification_id: 'ntf_new' }, meta: { request_id: 'r' } } };
  if (call.path !== '/events' && call.path !== '/notifications') return notFound;
  const isOwn = call.path === '/events' || call.query.get('notification_setting_id') === 'ntfset_1';
  if (call.query.get('order_by') !== 'id[DESC]' || !isOwn) return { status: 400, body: {} };
  const all = newestFirst(events.filter(({ at }) => at >= timeOf(call, 'from')));
  const from = byId(all, call.query.get('after'));
  const to = from + Math.min(maxPage, numberOf(call, 'per_page', 50));
  const data = all.slice(from, to);
  const query = new URLSearchParams(call.query);
  query.set('after', data.at(-1)?.id ?? '');
  const next = `http://${call.headers.host}${call.path}?${query}`;
  const pagination = { per_page: 200, next, has_more: to < all.length, estimated_total: all.length };
  return { body: { data: items(data), meta: { request_id: 'r', pagination } } };
};

/** Numbered pages, newest first. */
const polar: StandIn = (events, call, maxPage = 100) => {
  if (!hasBearer(call)) return refused;
  if (/^\/v1\/webhooks\/events\/[\w-]+\/redeliver$/.test(call.path) && call.method === 'POST')
    return { status: 202, body: null };
  if (call.path !== '/v1/webhooks/deliveries') return notFound;
  const all = newestFirst(
    events.filter(({ at }) => at >= timeOf(call, 'start_timestamp') && at <= timeOf(call, 'end_timestamp')),
  );
  const limit = Math.min(maxPage, numberOf(call, 'limit', 10));
  const from = (numberOf(call, 'page', 1) - 1) * limit;
  const pagination = { total_count: all.length, max_page: Math.ceil(all.length / limit) };
  return { body: { items: items(all.slice(from, from + limit)), pagination } };
};

/** Both lists newest first, with cursors by id. */
const gocardless: StandIn = (events, call, maxPage = 500) => {
  if (!hasBearer(call) || call.headers['gocardless-version'] !== '2015-07-06') return refused;
  if (/^\/webhooks\/WB\w+\/actions\/retry$/.test(call.path) && call.method === 'POST')
    return { body: { webhooks: { id: 'WB_again' } } };
  const name = call.path.slice(1);
  if (name !== 'events' && name !== 'webhooks') return notFound;
  const all = newestFirst(events.filter(({ at }) => at >= timeOf(call, 'created_at[gte]')));
  const from = byId(all, call.query.get('after'));
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 50));
  const data = all.slice(from, to);
  const after = to < all.length ? data.at(-1)!.id : null;
  return { body: { [name]: items(data), meta: { cursors: { before: null, after }, limit: 500 } } };
};

export const paypalKey = 'client-id:client-secret';

/** A token from the key; links that name another host of PayPal. */
const paypal: StandIn = (events, call, maxPage = 100) => {
  if (call.path === '/v1/oauth2/token')
    return hasAuthorization(call, basic(paypalKey)) && call.body === 'grant_type=client_credentials'
      ? { body: { access_token: 'A21AA', token_type: 'Bearer', expires_in: 32_400 } }
      : refused;
  if (!hasBearer(call, 'A21AA')) return refused;
  const path = '/v1/notifications/webhooks-events';
  if (call.path.startsWith(`${path}/WH-`) && call.path.endsWith('/resend') && call.method === 'POST')
    return { status: call.body === '{"webhook_ids":["1AB"]}' ? 202 : 400, body: {} };
  if (call.path !== path) return notFound;
  const all = newestFirst(
    events.filter(({ at }) => at >= timeOf(call, 'start_time') && at <= timeOf(call, 'end_time') + 1_000),
  );
  const from = numberOf(call, 'start_index', 0);
  const to = from + Math.min(maxPage, numberOf(call, 'page_size', 10));
  const query = new URLSearchParams([...call.query, ['start_index', String(to)]]);
  if (call.query.has('start_index')) query.set('start_index', String(to));
  const next = { href: `https://api.paypal.com${path}?${query}`, rel: 'next', method: 'GET' };
  return {
    body: { events: items(all.slice(from, to)), count: to - from, links: to < all.length ? [next] : [] },
  };
};

/** Oldest first; the link of the next page is a whole address of the org, and a last one leads to an empty page. */
const okta: StandIn = (events, call, maxPage = 1_000) => {
  if (!hasAuthorization(call, `SSWS ${testKey}`)) return refused;
  if (call.path !== '/api/v1/logs') return notFound;
  const types = [...(call.query.get('filter') ?? '').matchAll(/eventType eq "([^"]+)"/g)].map(
    ([, type]) => type,
  );
  const all = events.filter(
    ({ at, item }) =>
      at >= timeOf(call, 'since') &&
      at <= timeOf(call, 'until') &&
      types.includes((item as { eventType: string }).eventType),
  );
  const from = numberOf(call, 'after', 0);
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 100));
  const query = new URLSearchParams(call.query);
  query.set('after', String(to));
  const address = `http://${call.headers.host}/api/v1/logs`;
  const link = `<${address}?self>; rel="self", <${address}?${query}>; rel="next"`;
  return { ...(from < all.length ? { headers: { link } } : {}), body: items(all.slice(from, to)) };
};

/** Oldest first; the key as user; an offset that is JSON; each event in a wrapper. */
const chargebee: StandIn = (events, call, maxPage = 100) => {
  if (!hasAuthorization(call, basic(`${testKey}:`))) return refused;
  if (call.path !== '/api/v2/events') return notFound;
  const [since = 0, until = 0] = JSON.parse(call.query.get('occurred_at[between]') ?? '[]');
  const all = events.filter(({ at }) => at >= since * 1_000 && at <= (until + 1) * 1_000);
  const [from] = JSON.parse(call.query.get('offset') ?? '[0]');
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 10));
  const next = to < all.length ? { next_offset: JSON.stringify([to, 'x']) } : {};
  return { body: { list: items(all.slice(from, to)).map((event) => ({ event })), ...next } };
};

export const shopifyKey = 'client-id:shpss_secret';

/** Things by their newest state; behind the first page a `page_info` that stands with no other filter. */
const shopify: StandIn = (events, call, maxPage = 250) => {
  if (call.path === '/admin/oauth/access_token')
    return call.body === 'grant_type=client_credentials&client_id=client-id&client_secret=shpss_secret'
      ? { body: { access_token: testKey, expires_in: 86_399 } }
      : refused;
  if (call.headers['x-shopify-access-token'] !== testKey) return refused;
  const [, resource] = /^\/admin\/api\/2026-04\/(orders|products)\.json$/.exec(call.path) ?? [];
  if (!resource) return notFound;
  const info = call.query.get('page_info');
  if (info !== null && [...call.query.keys()].some((name) => name.startsWith('updated') || name === 'status'))
    return { status: 400, body: { errors: { page_info: 'Invalid value.' } } };
  const { from, min, max } =
    info === null
      ? { from: 0, min: timeOf(call, 'updated_at_min'), max: timeOf(call, 'updated_at_max') }
      : JSON.parse(Buffer.from(info, 'base64url').toString());
  const isOpenOnly = resource === 'orders' && info === null && call.query.get('status') !== 'any';
  const all = events.filter(({ id, at }) => id.startsWith(resource) && at >= min && at <= max && !isOpenOnly);
  const to = from + Math.min(maxPage, numberOf(call, 'limit', 50));
  const next = Buffer.from(JSON.stringify({ from: to, min, max })).toString('base64url');
  const link = `<http://${call.headers.host}${call.path}?limit=250&page_info=${next}>; rel="next"`;
  return {
    ...(to < all.length ? { headers: { link } } : {}),
    body: { [resource]: items(all.slice(from, to)) },
  };
};

export const airtablePath = 'bases/app00000000000000/webhooks/ach00000000000000';

/** A feed: payload n has the number n + 1; the cursor names the one behind the last. */
const airtable: StandIn = (events, call, maxPage = 50) => {
  if (!hasBearer(call)) return refused;
  if (!/^\/v0\/bases\/app0+\/webhooks\/ach\w+\/payloads$/.test(call.path)) return notFound;
  const from = numberOf(call, 'cursor', 1) - 1;
  const payloads = items(events.slice(from, from + Math.min(maxPage, numberOf(call, 'limit', 50))));
  const cursor = from + payloads.length + 1;
  return { body: { payloads, cursor, mightHaveMore: cursor <= events.length } };
};

export const standIns = {
  airtable,
  shopify,
  stripe,
  github,
  workos,
  square,
  paddle,
  polar,
  gocardless,
  paypal,
  okta,
  chargebee,
} as const satisfies Record<string, StandIn>;
