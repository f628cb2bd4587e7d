// The working side, put together: the worker, its background tasks and its wake-ups, in a process of ours or of a host.
import { startAlerts } from '../alerts/tasks.ts';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import { type InboxSample, readSample } from '../events/sample.ts';
import type { Handler } from '../handlers/handler.ts';
import type { WorkerMetrics } from '../http/worker-metrics.ts';
import type { Logger } from '../logger.ts';
import { startTasks } from '../maintenance/background-tasks.ts';
import { startLiveness } from '../maintenance/liveness.ts';
import { type Sampler, startSampler } from '../maintenance/sampler.ts';
import { startMaintenance } from '../maintenance/tasks.ts';
import { startRecovering } from '../pull/start.ts';
import { channel } from '../queue/notify.ts';
import { openQueue } from '../queue/open-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { connect } from '../runtime/connection.ts';
import { waitForSchema } from '../runtime/readiness.ts';
import { identifySelf } from '../runtime/self.ts';
import { type ConnectedSettings, recoverScheduleOf } from '../runtime/settings.ts';
import type { Phase } from '../runtime/shutdown.ts';
import { workerPoolSize } from '../runtime/worker-connections.ts';
import type { Watchdog } from '../watchdog.ts';
import { workerSessionSettings } from '../worker/attempt.ts';
import { limitsOf } from '../worker/rehearsal/rehearsal.ts';
import { rehearsalTask, rehearsalTaskName } from '../worker/rehearsal/rehearsal-task.ts';
import { startWorker, type Worker } from '../worker/worker.ts';

export interface WorkerPartsOptions {
  settings: ConnectedSettings;
  handlers: readonly Handler[];
  log: Logger;
  /** Only in a process of ours: it ends the process. */
  watchdog?: Watchdog | undefined;
  /** Undefined: nothing is counted. */
  metrics?: WorkerMetrics | undefined;
}

export interface WorkerParts {
  /** Resolves when the worker takes jobs, or once it is closing. @throws CommandError as `waitForSchema` */
  open(): Promise<void>;
  /**
   * From now on no job is taken. @returns the steps of its end, to be run in this order
   * @param crash as in `Worker.stop`
   */
  beginClosing(crash?: unknown): readonly Phase[];
}

/** The part of the shutdown time that is reserved for rollbacks and requeues. */
const shutdownReserveMs = 4_000;

export function createWorkerParts(options: WorkerPartsOptions): WorkerParts {
  const { settings, log, metrics } = options;
  const { config } = settings;
  const database = connect(settings, {
    applicationName: 'postbell worker',
    maxConnections: workerPoolSize(config, recoverScheduleOf(settings).sources),
    sessionSettings: workerSessionSettings(config.HANDLER_TIMEOUT_SECONDS * 1_000, config.DATABASE_POOLER),
    log,
  });
  const closing = new AbortController();
  const graceMs = Math.max(0, config.SHUTDOWN_TIMEOUT_SECONDS * 1_000 - shutdownReserveMs);
  let running: Running | undefined;
  metrics?.watchDatabase(database);
  metrics?.watchWorker(() => running?.held());
  metrics?.watchInbox(() => running?.sampler?.latest());
  return {
    open: async () => {
      await waitForSchema(database, log, closing.signal);
      if (closing.signal.aborted) return;
      const queue = await openQueue(database, log, {
        supervise: true,
        superviseSeconds: config.SUPERVISE_SECONDS,
      });
      await queue.applyPolicy(config);
      if (closing.signal.aborted) return queue.stop();
      running = start({ ...options, config, database, queue });
    },
    beginClosing: (crash) => {
      closing.abort();
      return [
        { name: 'worker', run: async () => running?.stop(graceMs, crash) },
        { name: 'database', run: () => database.close() },
      ];
    },
  };
}

interface Running extends Pick<Worker, 'held'> {
  /** Where there are metrics. */
  sampler: Sampler<InboxSample> | undefined;
  stop(graceMs: number, crash?: unknown): Promise<void>;
}

interface StartOptions extends WorkerPartsOptions {
  config: Config;
  database: Database;
  queue: Queue;
}

function startRehearsals({ settings, config, database, handlers, log }: StartOptions) {
  const timeoutMs = config.HANDLER_TIMEOUT_SECONDS * 1_000;
  const openDatabase = () =>
    connect(settings, {
      applicationName: 'postbell rehearse',
      maxConnections: 1,
      sessionSettings: workerSessionSettings(timeoutMs, config.DATABASE_POOLER),
      log,
    });
  const task = rehearsalTask({
    ...limitsOf(config),
    database,
    openDatabase,
    handlers: () => handlers,
    timeoutMs,
    intervalMs: Math.max(10, config.POLL_SECONDS) * 1_000,
    log,
  });
  return startTasks([task], log);
}

function start(options: StartOptions): Running {
  const { config, database, queue, handlers, log, watchdog, metrics } = options;
  const { retentionDays } = options.settings;
  const schedule = recoverScheduleOf(options.settings);
  const releaseDeps = { database, queue, log, maxAttempts: config.MAX_ATTEMPTS };
  const worker = startWorker({
    ...releaseDeps,
    handlers: () => handlers,
    concurrency: config.WORKER_CONCURRENCY,
    timeoutMs: config.HANDLER_TIMEOUT_SECONDS * 1_000,
    retryDelaySeconds: config.RETRY_DELAY_SECONDS,
    retryDelayMaxSeconds: config.RETRY_DELAY_MAX_SECONDS,
    maxDeferrals: config.MAX_DEFERRALS,
    heartbeatMs: config.HEARTBEAT_SECONDS * 1_000,
    pollMs: config.POLL_SECONDS * 1_000,
    ...(watchdog && { watchdog }),
    ...(metrics && { observer: metrics.observer }),
  });
  const maintenance = startMaintenance({
    config,
    retentionDays,
    ...releaseDeps,
    onCharged: ({ source, isDead }) => metrics?.observer.attemptEnded(source, isDead ? 'dead' : 'failed'),
  });
  const alerts = startAlerts({ database, log, config, schedule, kind: 'worker' });
  const sampler =
    metrics && startSampler<InboxSample>({ take: (before) => readSample(database, before), log });
  const recovering = startRecovering({ config, retentionDays, database, queue, schedule, log });
  const rehearsals = startRehearsals(options);
  const liveness = startLiveness({ database, log, self: identifySelf('worker', config) });
  if (config.DATABASE_POOLER)
    log.warn(
      { pollSeconds: config.POLL_SECONDS },
      'no LISTEN behind a transaction pooler: the worker polls for new jobs',
    );
  // Behind a transaction pooler LISTEN does not last: the worker polls.
  const listener = config.DATABASE_POOLER
    ? undefined
    : database.listen(channel, (payload) => {
        // Without a payload: notifications may have been missed.
        if (payload === 'pauses' || payload === undefined) {
          worker.readPauses();
          maintenance.onPausesChanged();
        }
        if (payload === 'replay' || payload === undefined) maintenance.onReplay();
        if (payload === 'rehearsals' || payload === undefined) rehearsals.wake(rehearsalTaskName);
        worker.wake();
      });
  const stopListening = async () => listener?.close();
  const stopSampling = async () => sampler?.stop();
  return {
    held: worker.held,
    sampler,
    stop: async (graceMs, crash) => {
      // First the worker stops taking jobs. The tasks end while its handlers finish: a mass replay takes minutes.
      const workerStopped = worker.stop(graceMs, crash);
      try {
        await allOrFirstError([
          workerStopped,
          ...[maintenance.stop(), alerts.stop(), recovering.stop(), rehearsals.stop(), stopListening()],
        ]);
      } finally {
        await allOrFirstError([queue.stop(), liveness.stop(), stopSampling()]);
      }
    },
  };
}
