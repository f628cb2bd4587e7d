// `postbell worker`: runs the handlers, and the background tasks that keep rows and jobs consistent.
import { createWorkerParts } from '../assembly/worker.ts';
import type { Environment } from '../config.ts';
import type { Handler } from '../handlers/handler.ts';
import { loadHandlers } from '../handlers/load.ts';
import { createLogger } from '../logger.ts';
import { type ConnectedSettings, loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog } from '../watchdog.ts';
import { findHandlers } from './find-handlers.ts';

/** @throws ConfigError, CommandError */
export async function runWorker(env: Environment, { json = false }: CommonOptions = {}): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config } = settings;
  const log = createLogger(config.LOG_LEVEL, 'worker', { isJson: json });
  const handlers = await loadAllHandlers(env, settings);
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

/** @throws CommandError without any handler, ConfigError */
async function loadAllHandlers(env: Environment, settings: ConnectedSettings): Promise<Handler[]> {
  const { modulePath, forwards } = findHandlers(env, settings, process.cwd());
  // Forwards first: the locks of the team's own handlers are not held during an HTTP call.
  return [...forwards, ...(modulePath ? await loadHandlers(modulePath) : [])];
}
