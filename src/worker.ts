// `postbell/worker`: the worker in the team's own process.
import { resolve } from 'node:path';
import { embeddedSettings, keepOpen } from './assembly/embedding.ts';
import type { Embedded, EmbeddingOptions } from './assembly/embedding-types.ts';
import { createWorkerParts } from './assembly/worker.ts';
import type { Handler } from './handlers/handler.ts';
import { checkHandlers, loadHandlers } from './handlers/load.ts';
import { createWorkerMetrics } from './http/worker-metrics.ts';

export interface WorkerOptions extends EmbeddingOptions {
  /** The handlers, or the path of the module that exports them, from the working directory on. */
  handlers: readonly Handler[] | string;
}

export interface EmbeddedWorker {
  /** As with the receiver: resolves when the worker takes jobs, rejects if the schema is too old. */
  readonly ready: Embedded['ready'];
  /** The metrics of the worker, as a text for Prometheus. */
  metrics(): Promise<string>;
  /**
   * Takes no new events, lets running handlers finish for SHUTDOWN_TIMEOUT_SECONDS less 4, then interrupts them: they run
   * again elsewhere, without a failure. Never rejects.
   */
  stop(): Promise<void>;
}

/**
 * Starts a worker with a connection pool of its own (WORKER_CONCURRENCY + 2 connections). A handler that blocks the event
 * loop blocks the host, which no watchdog ends: keep such handlers in `postbell worker`.
 * @throws ConfigError, also for a wrong handler
 */
export async function startWorker({ handlers, ...options }: WorkerOptions): Promise<EmbeddedWorker> {
  const { settings, log } = embeddedSettings(options, 'worker');
  const list =
    typeof handlers === 'string'
      ? await loadHandlers(resolve(handlers))
      : checkHandlers(handlers, 'startWorker');
  const metrics = createWorkerMetrics({ measuresProcess: false });
  const { ready, close } = keepOpen(createWorkerParts({ settings, handlers: list, metrics, log }), log);
  return { ready, metrics: async () => (await metrics.render()).text, stop: close };
}
