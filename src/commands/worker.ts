// `postbell worker`: runs the handlers, and the background tasks that keep rows and jobs consistent.
import { createWorkerParts } from '../assembly/worker.ts';
import type { Environment } from '../config.ts';
import { createLogger } from '../logger.ts';
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
  const worker = createWorkerParts({ settings, handlers, watchdog, log });
  exitGracefully({
    log,
    timeoutMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000,
    survivesRejections: true,
    phases: worker.beginClosing,
  });
  await worker.open();
  log.info({ handlers: handlers.length, concurrency: config.WORKER_CONCURRENCY }, 'ready');
}
