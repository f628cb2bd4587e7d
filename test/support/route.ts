// The webhook route on a real socket, with or without a database behind it.
import type { Test } from 'tap';
import { createMetrics } from '../../src/http/metrics.ts';
import { createServer } from '../../src/http/server.ts';
import { createWebhookCore } from '../../src/http/webhook-core.ts';
import { registerWebhooks } from '../../src/http/webhooks.ts';
import type { Logger } from '../../src/logger.ts';
import type { OutgoingRequest, Source } from '../../src/providers/index.ts';
import type { Captures } from '../../src/receive/captures.ts';
import type { Receiver } from '../../src/receive/receiver.ts';
import type { RejectionLog } from '../../src/receive/rejections.ts';
import { captureLog } from './inbox.ts';

/** A server with the webhook routes, that does not listen yet. */
export function createRoute(
  sources: readonly Source[],
  parts: { receiver: Pick<Receiver, 'submit'>; rejections: RejectionLog; log: Logger; captures?: Captures },
) {
  const [metrics, bodyLimitBytes] = [createMetrics(), 1_048_576];
  const app = createServer({
    bodyLimitBytes,
    log: parts.log,
  });
  const core = createWebhookCore({
    ...parts,
    rejectionCounter: { count: () => {} },
    quarantine: { keep: () => {} },
    sources: new Map(sources.map((source) => [source.name, source])),
    waiting: new Map(),
    storedSources: { has: () => false },
    secretHandover: { accept: async () => false },
    metrics,
    storesRawBody: false,
    bodyLimitBytes,
  });
  registerWebhooks(app, core);
  return app;
}

/** The route without a database: accepted deliveries are only counted. */
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
  const app = createRoute(sources, {
    receiver,
    rejections: { record: ({ reason }) => void rejections.push(reason) },
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
