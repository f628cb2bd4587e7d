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
    const call = { method: request.method!, path: pathname, query: searchParams, headers: request.headers, body };
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

export type StandIn = (events: readonly Listed[], call: ApiCall) => ApiReply;

const refused: ApiReply = { status: 401, body: { error: 'unauthorized' } };
export const testKey = 'rk_test_0123456789abcdef';
const hasBearer = ({ headers }: ApiCall) => headers.authorization === `Bearer ${testKey}`;
const numberOf = (call: ApiCall, name: string) => Number(call.query.get(name));

/** Newest first; `starting_after` an id; `created[gte]` in seconds. */
const stripe: StandIn = (events, call) => {
  if (!hasBearer(call)) return refused;
  if (call.path !== '/v1/events') return { status: 404, body: { error: { type: 'invalid_request_error' } } };
  const since = numberOf(call, 'created[gte]') * 1_000;
  const all = events.filter(({ at }) => at >= since).reverse();
  const after = call.query.get('starting_after');
  const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1;
  const limit = Math.min(100, numberOf(call, 'limit') || 10);
  const data = all.slice(from, from + limit).map(({ item }) => item);
  return { body: { object: 'list', url: '/v1/events', has_more: from + limit < all.length, data } };
};

export const hookPath = 'repos/octocat/hello/hooks/7';

/** Newest first; a cursor in the header Link. The list's items are deliveries. */
const github: StandIn = (events, call) => {
  if (!hasBearer(call)) return refused;
  if (call.path === `/${hookPath}/deliveries`) {
    const all = [...events].reverse();
    const from = Number((call.query.get('cursor') ?? 'v1_0').slice(3));
    const limit = Math.min(100, numberOf(call, 'per_page') || 30);
    const link = `<https://api.github.com/repositories/1/hooks/7/deliveries?per_page=${limit}&cursor=v1_${from + limit}>; rel="next"`;
    return {
      ...(from + limit < all.length ? { headers: { link } } : {}),
      body: all.slice(from, from + limit).map(({ item }) => item),
    };
  }
  return new RegExp(`^/${hookPath}/deliveries/\\d+/attempts$`).test(call.path) && call.method === 'POST'
    ? { status: 202, body: {} }
    : { status: 404, body: { message: 'Not Found' } };
};

export const standIns = { stripe, github } as const satisfies Record<string, StandIn>;
