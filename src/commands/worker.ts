// `postbell worker`: runs the handlers, and the background tasks that keep rows and jobs consistent.
import type { Config, Environment } from '../config.ts';
import type { Database } from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import { CommandError } from '../errors.ts';
import { loadForwards } from '../forward/settings.ts';
import type { Handler } from '../handlers/handler.ts';
import { findHandlersModule, loadHandlers, noHandlers } from '../handlers/load.ts';
import { createLogger, type Logger } from '../logger.ts';
import { startMaintenance } from '../maintenance/tasks.ts';
import { channel } from '../queue/notify.ts';
import { openQueue } from '../queue/open-queue.ts';
import { connect } from '../runtime/connection.ts';
import { waitForSchema } from '../runtime/readiness.ts';
import { type ConnectedSettings, knownSources, loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import { workerPoolSize } from '../runtime/worker-connections.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog, type Watchdog } from '../watchdog.ts';
import { workerSessionSettings } from '../worker/attempt.ts';
import { startWorker } from '../worker/worker.ts';

/** The part of the shutdown time that is reserved for rollbacks and requeues. */
const shutdownReserveMs = 4_000;

/** @throws ConfigError, CommandError */
export async function runWorker(env: Environment, { json = false }: CommonOptions = {}): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config } = settings;
  const log = createLogger(config.LOG_LEVEL, 'worker', { isJson: json });
  const handlers = await loadAllHandlers(env, settings);
  const watchdog = startWatchdog({ timeoutMs: config.WATCHDOG_SECONDS * 1_000, name: 'worker', log });
  const database = connect(settings, {
    applicationName: 'postbell worker',
    maxConnections: workerPoolSize(config),
    sessionSettings: workerSessionSettings(config.HANDLER_TIMEOUT_SECONDS * 1_000),
    log,
  });
  let parts: WorkerParts | undefined;
  let isStopping = false;
  const timeoutMs = config.SHUTDOWN_TIMEOUT_SECONDS * 1_000;
  exitGracefully({
    log,
    timeoutMs,
    survivesRejections: true,
    phases: (crash) => {
      isStopping = true;
      const graceMs = Math.max(0, timeoutMs - shutdownReserveMs);
      return [
        { name: 'worker', run: async () => parts?.stop(graceMs, crash) },
        { name: 'database', run: () => database.close() },
      ];
    },
  });
  await waitForSchema(database, log, () => isStopping);
  parts = await startWorkerParts({ config, database, handlers: () => handlers, watchdog, log });
  log.info({ handlers: handlers.length, concurrency: config.WORKER_CONCURRENCY }, 'ready');
}

/** @throws CommandError without any handler, ConfigError */
async function loadAllHandlers(env: Environment, settings: ConnectedSettings): Promise<Handler[]> {
  const modulePath = findHandlersModule(settings.config.POSTBELL_HANDLERS, process.cwd());
  const forwards = loadForwards(env, knownSources(settings));
  if (!modulePath && forwards.length === 0) throw new CommandError(noHandlers);
  // Forwards first: the locks of the team's own handlers are not held during an HTTP call.
  return [...forwards, ...(modulePath ? await loadHandlers(modulePath) : [])];
}

interface WorkerParts {
  stop(graceMs: number, crash?: unknown): Promise<void>;
}

async function startWorkerParts({
  config,
  database,
  handlers,
  watchdog,
  log,
}: {
  config: Config;
  database: Database;
  handlers: () => readonly Handler[];
  watchdog: Watchdog;
  log: Logger;
}): Promise<WorkerParts> {
  const queue = await openQueue(database, log, {
    supervise: true,
    superviseSeconds: config.SUPERVISE_SECONDS,
  });
  await queue.applyPolicy(config);
  const releaseDeps = { database, queue, log, maxAttempts: config.MAX_ATTEMPTS };
  const worker = startWorker({
    ...releaseDeps,
    handlers,
    concurrency: config.WORKER_CONCURRENCY,
    timeoutMs: config.HANDLER_TIMEOUT_SECONDS * 1_000,
    retryDelaySeconds: config.RETRY_DELAY_SECONDS,
    retryDelayMaxSeconds: config.RETRY_DELAY_MAX_SECONDS,
    maxDeferrals: config.MAX_DEFERRALS,
    heartbeatMs: config.HEARTBEAT_SECONDS * 1_000,
    pollMs: config.POLL_SECONDS * 1_000,
    watchdog,
  });
  const maintenance = startMaintenance({ config, ...releaseDeps });
  if (config.DATABASE_POOLER)
    log.warn(
      { pollSeconds: config.POLL_SECONDS },
      'no LISTEN behind a transaction pooler: the worker polls for new jobs',
    );
  // Behind a transaction pooler LISTEN does not last: the worker polls.
  const listener = config.DATABASE_POOLER
    ? undefined
    : database.listen(channel, (payload) => {
        if (payload !== 'jobs') maintenance.onReplay();
        worker.wake();
      });
  const stopListening = async () => listener?.close();
  return {
    stop: async (graceMs, crash) => {
      // First the worker stops taking jobs. The tasks end while its handlers finish: a mass replay takes minutes.
      const workerStopped = worker.stop(graceMs, crash);
      try {
        await allOrFirstError([workerStopped, maintenance.stop(), stopListening()]);
      } finally {
        await queue.stop();
      }
    },
  };
}
