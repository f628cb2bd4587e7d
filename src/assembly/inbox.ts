// The receiving side, put together: `web` serves it by a server of its own, embedded Postbell by the host's server.
import { startAlerts } from '../alerts/tasks.ts';
import type { Database } from '../database/database.ts';
import { type InboxSample, readSample } from '../events/sample.ts';
import { createMetrics, type Metrics } from '../http/metrics.ts';
import { createWebhookCore, type WebhookCore } from '../http/webhook-core.ts';
import type { Logger } from '../logger.ts';
import type { RunningTasks } from '../maintenance/background-tasks.ts';
import { type Liveness, startLiveness } from '../maintenance/liveness.ts';
import { type Sampler, startSampler } from '../maintenance/sampler.ts';
import { openQueue } from '../queue/open-queue.ts';
import type { Queue } from '../queue/queue.ts';
import { type Captures, createCaptures } from '../receive/captures.ts';
import { createQuarantine } from '../receive/quarantine.ts';
import { createReceiver, type Receiver, UnavailableError } from '../receive/receiver.ts';
import { createRejectionCounter } from '../receive/rejection-counter.ts';
import { createRejectionLog } from '../receive/rejections.ts';
import { createSecretHandover } from '../receive/setup-windows.ts';
import { createStoredSources } from '../receive/stored-sources.ts';
import { connect } from '../runtime/connection.ts';
import { createReadiness, waitForSchema } from '../runtime/readiness.ts';
import { identifySelf } from '../runtime/self.ts';
import { type ConnectedSettings, recoverScheduleOf } from '../runtime/settings.ts';
import type { Phase } from '../runtime/shutdown.ts';

export interface InboxOptions {
  settings: ConnectedSettings;
  log: Logger;
  /** Also measures the process itself: its memory, its event loop. */
  measuresProcess: boolean;
}

export interface Inbox {
  /** Answers 503 until `open` has resolved, and after `beginClosing`'s phases have run. */
  core: WebhookCore;
  metrics: Metrics;
  /** As in `HealthDeps`. */
  readinessProblem(): Promise<string | undefined>;
  /** Resolves when the database was reached, or once the inbox is closing. @throws CommandError as `waitForSchema` */
  open(): Promise<void>;
  /** From now on the inbox is not ready. @returns the steps of its end, to be run in this order */
  beginClosing(): readonly Phase[];
}

export function createInbox({ settings, log, measuresProcess }: InboxOptions): Inbox {
  const { config, sources, waiting } = settings;
  const database = connect(settings, {
    applicationName: 'postbell web',
    maxConnections: config.WEB_CONNECTIONS,
    log,
  });
  let queue: Queue | undefined;
  let receiver: Receiver | undefined;
  let liveness: Liveness | undefined;
  let alerts: RunningTasks | undefined;
  let sampler: Sampler<InboxSample> | undefined;
  const closing = new AbortController();
  const lateReceiver = createLateReceiver(() => receiver);
  const metrics = createMetrics({ measuresProcess });
  for (const source of sources.keys()) metrics.expectSource(source);
  metrics.watchDatabase(database);
  metrics.watchReceiver(lateReceiver);
  metrics.watchInbox(() => sampler?.latest());
  const storedSources = createStoredSources(database, log);
  const rejectionCounter = createRejectionCounter({ database, log });
  const quarantine = createQuarantine({ database, log, sources });
  const captures = capturesOf(settings, database, log);
  const core = createWebhookCore({
    sources,
    waiting,
    storedSources,
    secretHandover: createSecretHandover(database, log),
    receiver: lateReceiver,
    rejections: createRejectionLog(database, log),
    rejectionCounter,
    quarantine,
    captures,
    metrics,
    storesRawBody: config.STORE_RAW_BODY,
    bodyLimitBytes: config.BODY_LIMIT_BYTES,
    log,
  });

  return {
    core,
    metrics,
    readinessProblem: createReadiness(database, () => receiver !== undefined && !closing.signal.aborted),
    open: async () => {
      await waitForSchema(database, log, closing.signal);
      if (closing.signal.aborted) return;
      await storedSources.read();
      const opened = await openQueue(database, log, { supervise: false });
      if (closing.signal.aborted) return opened.stop();
      queue = opened;
      receiver = createReceiver({
        ...{ database, queue, log },
        ...receiverLimits(config),
        onDuplicateAnomalies: (source, anomaly, count) => {
          metrics.countDuplicateAnomalies(source, anomaly, count);
          // The alert of this name is raised in another process, by the counts.
          if (anomaly === 'replay_flood') rejectionCounter.count(source, anomaly, count);
        },
      });
      alerts = startAlerts({ database, log, config, schedule: recoverScheduleOf(settings), kind: 'web' });
      sampler = startSampler({ take: (before) => readSample(database, before), log });
      liveness = startLiveness({ database, log, self: identifySelf('web', config) });
      captures.start();
    },
    beginClosing: () => {
      closing.abort();
      return [
        { name: 'receiver', run: () => lateReceiver.close() },
        { name: 'rejection counts', run: () => rejectionCounter.close() },
        { name: 'quarantine', run: () => quarantine.close() },
        { name: 'captures', run: () => captures.stop() },
        { name: 'queue', run: async () => queue?.stop() },
        { name: 'alerts', run: async () => alerts?.stop() },
        { name: 'liveness', run: async () => liveness?.stop() },
        { name: 'sampler', run: async () => sampler?.stop() },
        { name: 'database', run: () => database.close() },
      ];
    },
  };
}

function receiverLimits(config: ConnectedSettings['config']) {
  return {
    timeoutMs: config.RECEIVE_TIMEOUT_MS,
    queueMax: config.RECEIVE_QUEUE_MAX,
    sameBodyHours: config.SAME_BODY_HOURS,
  };
}

function capturesOf(settings: ConnectedSettings, database: Database, log: Logger): Captures {
  const { config, sources, waiting } = settings;
  const { host } = identifySelf('web', config);
  return createCaptures({ database, log, sources, waiting, host, showsAll: config.LIVE_REQUESTS });
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
