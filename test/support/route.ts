// The webhook route on a real socket, with or without a database behind it.
import type { Test } from 'tap';
import { createMetrics } from '../../src/http/metrics.ts';
import { createServer } from '../../src/http/server.ts';
import { webhooks } from '../../src/http/webhooks.ts';
import type { OutgoingRequest, Source } from '../../src/providers/index.ts';
import type { Receiver } from '../../src/receive/receiver.ts';
import { captureLog } from './inbox.ts';

/** The route without a database: what is accepted is only counted. */
export function openRoute(t: Test, ...sources: Source[]) {
  let accepted = 0;
  const route = openRouteTo(
    t,
    {
      submit: async () => {
        accepted++;
        return { duplicate: false };
      },
      waiting: () => 0,
      close: async () => {},
    },
    ...sources,
  );
  return { ...route, accepted: () => accepted };
}

/** The route to a receiver of the test's own. */
export function openRouteTo(t: Test, receiver: Receiver, ...sources: Source[]) {
  const { log, logs } = captureLog();
  const rejections: string[] = [];
  const [metrics, bodyLimitBytes] = [createMetrics(), 1_048_576];
  const app = createServer({
    metrics,
    metricsToken: undefined,
    readinessProblem: async () => undefined,
    bodyLimitBytes,
    log,
  });
  app.register(webhooks, {
    sources: new Map(sources.map((source) => [source.name, source])),
    waiting: new Map(),
    storedSources: { has: () => false },
    secretHandover: { accept: async () => false },
    receiver,
    rejections: { record: ({ reason }) => void rejections.push(reason) },
    metrics,
    storesRawBody: false,
    bodyLimitBytes,
    log,
  });
  const listening = app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  /** @param path with its query, e.g. `/webhooks/meta?hub.mode=subscribe` */
  const ask = async (path: string, init?: RequestInit) => fetch((await listening) + path, init);
  const post = ({ url, headers, body }: OutgoingRequest) =>
    ask(new URL(url).pathname, { method: 'POST', headers, body: new Uint8Array(body) });
  return { app, close: () => app.close(), address: listening, ask, post, logs, rejections };
}
