// `postbell worker`: runs the handlers, and the background tasks that keep rows and jobs consistent.
import { createWorkerParts } from '../assembly/worker.ts';
import type { Config, Environment } from '../config.ts';
import { type MetricsServer, serveMetrics } from '../http/metrics-page.ts';
import { createWorkerMetrics, type WorkerMetrics } from '../http/worker-metrics.ts';
import { createLogger, type Logger } from '../logger.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog } from '../watchdog.ts';
import { loadAllHandlers } from './find-handlers.ts';

/** @throws ConfigError, CommandError */
export async function runWorker(env: Environment, { json = false }: CommonOptions = {}): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config } = settings;
  const log = createLogger(config.LOG_LEVEL, 'worker', { isJson: json });
  const handlers = await loadAllHandlers(env, settings, process.cwd());
  const watchdog = startWatchdog({ timeoutMs: config.WATCHDOG_SECONDS * 1_000, name: 'worker', log });
  const metrics = config.METRICS_PORT === undefined ? undefined : createWorkerMetrics();
  const worker = createWorkerParts({ settings, handlers, watchdog, metrics, log });
  let metricsServer: MetricsServer | undefined;
  exitGracefully({
    log,
    timeoutMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000,
    survivesRejections: true,
    // Last: what the end is like can be watched.
    phases: (crash) => [
      ...worker.beginClosing(crash),
      { name: 'metrics', run: async () => metricsServer?.close() },
    ],
  });
  if (metrics) metricsServer = await startMetricsServer(metrics, config, log);
  await worker.open();
  log.info({ handlers: handlers.length, concurrency: config.WORKER_CONCURRENCY }, 'ready');
}

/** Listens before the database is reached, as `web` does. @throws CommandError as `listen` */
async function startMetricsServer(
  metrics: WorkerMetrics,
  { METRICS_PORT: port = 0, METRICS_HOST: host, METRICS_TOKEN: metricsToken }: Config,
  log: Logger,
): Promise<MetricsServer> {
  const settings = { port: 'METRICS_PORT', host: 'METRICS_HOST' };
  const server = await serveMetrics({ metrics, metricsToken, log }, { port, host, settings });
  log.info({ address: server.address }, 'metrics');
  return server;
}
