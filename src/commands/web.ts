// `postbell web`: the receiver. Listens at once, and answers 503 until it has reached the database.
import type { Config, Environment } from '../config.ts';
import { CommandError } from '../errors.ts';
import { createMetrics } from '../http/metrics.ts';
import { createServer } from '../http/server.ts';
import { webhooks } from '../http/webhooks.ts';
import { createLogger } from '../logger.ts';
import { openQueue } from '../queue/open-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { createReceiver, type Receiver, UnavailableError } from '../receive/receiver.ts';
import { createRejectionLog } from '../receive/rejections.ts';
import { createSecretHandover } from '../receive/setup-windows.ts';
import { createStoredSources } from '../receive/stored-sources.ts';
import { connect } from '../runtime/connection.ts';
import { createReadiness, waitForSchema } from '../runtime/readiness.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog } from '../watchdog.ts';

/** @throws ConfigError, CommandError */
export async function runWeb(env: Environment, { json = false }: CommonOptions = {}): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config, sources, waiting } = settings;
  const log = createLogger(config.LOG_LEVEL, 'web', { isJson: json });
  startWatchdog({ timeoutMs: config.WATCHDOG_SECONDS * 1_000, name: 'web', log });
  const database = connect(settings, {
    applicationName: 'postbell web',
    maxConnections: config.WEB_CONNECTIONS,
    log,
  });
  let queue: Queue | undefined;
  let receiver: Receiver | undefined;
  let isStopping = false;
  const lateReceiver = createLateReceiver(() => receiver);
  const metrics = createMetrics();
  metrics.watch(database, lateReceiver);
  const storedSources = createStoredSources(database, log);
  const app = createServer({
    metrics,
    metricsToken: config.METRICS_TOKEN,
    readinessProblem: createReadiness(database, () => receiver !== undefined && !isStopping),
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    log,
  });
  app.register(webhooks, {
    sources,
    waiting,
    storedSources,
    secretHandover: createSecretHandover(database, log),
    receiver: lateReceiver,
    rejections: createRejectionLog(database, log),
    metrics,
    storesRawBody: config.STORE_RAW_BODY,
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    log,
  });
  exitGracefully({
    log,
    timeoutMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000,
    phases: () => {
      isStopping = true;
      return [
        { name: 'http', run: () => app.close() },
        { name: 'receiver', run: () => lateReceiver.close() },
        { name: 'queue', run: async () => queue?.stop() },
        { name: 'database', run: () => database.close() },
      ];
    },
  });

  const address = await app.listen({ port: config.PORT, host: config.HOST }).catch((error) => {
    throw listenProblem(error, config) ?? error;
  });
  log.info({ address, sources: [...sources.keys()] }, 'listening');
  if (sources.size === 0)
    log.warn('no source is on: set <SOURCE>_WEBHOOK_SECRET, e.g. STRIPE_WEBHOOK_SECRET');

  await waitForSchema(database, log, () => isStopping);
  await storedSources.read();
  queue = await openQueue(database, log, { supervise: false });
  receiver = createReceiver({
    database,
    queue,
    log,
    timeoutMs: config.RECEIVE_TIMEOUT_MS,
    queueMax: config.RECEIVE_QUEUE_MAX,
    sameBodyHours: config.SAME_BODY_HOURS,
    onDuplicateAnomalies: metrics.countDuplicateAnomalies,
  });
  log.info('ready');
}

function listenProblem({ code }: NodeJS.ErrnoException, { PORT, HOST }: Config): CommandError | undefined {
  if (code === 'EADDRINUSE')
    return new CommandError(`port ${PORT} is in use: set PORT, or end the program that uses it`);
  if (code === 'EACCES')
    return new CommandError(`port ${PORT} needs rights that this user lacks: set PORT above 1023`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new CommandError(
      `HOST ${HOST} is no address of this machine: unset HOST to listen on all addresses`,
    );
  return undefined;
}

/** Stands in for the receiver until the database was reached: deliveries are answered 503. */
function createLateReceiver(receiver: () => Receiver | undefined): Receiver {
  return {
    submit: (events, body) =>
      receiver()?.submit(events, body) ??
      Promise.reject(new UnavailableError('the database was not reached yet')),
    waiting: () => receiver()?.waiting() ?? 0,
    close: async () => receiver()?.close(),
  };
}
