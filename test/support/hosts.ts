// Three hosts of embedded Postbell: a server of node:http, a team's Fastify app, and a framework that calls fetch handlers.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import type { Test } from 'tap';
import postbell from '../../src/fastify.ts';
import { createWebhookHandler } from '../../src/fetch.ts';
import { createWebhookListener } from '../../src/node.ts';
import { atEnd } from './at-end.ts';
import { captureLog } from './inbox.ts';
import type { LogLine } from './processes.ts';

export interface Host {
  /** @param path below the place where the host serves the webhooks, e.g. `stripe` */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Ends Postbell, as the host does at its end. */
  close(): Promise<void>;
  logs: LogLine[];
  /** The host's own route, which reads JSON. */
  askOwn?(body: string): Promise<Response>;
}

export interface HostOptions {
  env: Record<string, string>;
  /** The host reads every body before Postbell gets the request. */
  readsBodies?: boolean;
}

type OpenHost = (t: Test, options: HostOptions) => Promise<Host>;

const path = '/hooks';

const openNode: OpenHost = async (t, { env, readsBodies }) => {
  const { log, logs } = captureLog();
  const { listener, close } = createWebhookListener({ env, log, path });
  const server = createServer(async (request, response) => {
    if (readsBodies) for await (const _ of request);
    await listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, async () => {
    server.closeAllConnections();
    server.close();
    await close();
  });
  const { port } = server.address() as AddressInfo;
  return { ask: (name, init) => fetch(`http://127.0.0.1:${port}${path}/${name}`, init), close, logs };
};

const openFastify: OpenHost = async (t, { env, readsBodies }) => {
  const { log, logs } = captureLog();
  const app = Fastify();
  if (readsBodies)
    app.addHook('preParsing', async (_request, _reply, payload) => {
      for await (const _ of payload);
      return payload;
    });
  app.post('/own', async ({ body }) => ({ own: body }));
  app.register(postbell, { prefix: path, env, log });
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => app.close());
  const post = { method: 'POST', headers: { 'content-type': 'application/json' } };
  return {
    ask: (name, init) => fetch(`${address}${path}/${name}`, init),
    close: () => app.close(),
    logs,
    askOwn: (body) => fetch(`${address}/own`, { ...post, body }),
  };
};

const openFetch: OpenHost = async (t, { env, readsBodies }) => {
  const { log, logs } = captureLog();
  const { handler, close } = createWebhookHandler({ env, log, path });
  atEnd(t, close);
  return {
    ask: async (name, init) => {
      const request = new Request(`http://shop.example.com${path}/${name}`, init);
      if (readsBodies) await request.arrayBuffer();
      return handler(request);
    },
    close,
    logs,
  };
};

export const openHosts: Readonly<Record<string, OpenHost>> = {
  'postbell/node': openNode,
  'postbell/fastify': openFastify,
  'postbell/fetch': openFetch,
};
