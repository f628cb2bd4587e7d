// The background tasks of alerts, in web and in worker: evaluate once a minute, send the messages.
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { readEvaluationAgeMs } from '../events/alerts.ts';
import { readProcesses } from '../events/processes.ts';
import { post } from '../forward/post.ts';
import type { Logger } from '../logger.ts';
import { type BackgroundTask, type RunningTasks, startTasks } from '../maintenance/background-tasks.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { evaluateAlerts } from './evaluate.ts';
import { sendMessages } from './send.ts';
import { type AlertTargetSettings, alertTargetOf } from './settings.ts';

export interface AlertTasksOptions {
  database: Database;
  log: Logger;
  config: AlertTargetSettings &
    Pick<
      Config,
      'ALERT_INTERVAL_SECONDS' | 'ALERT_PENDING_MINUTES' | 'DATABASE_SIZE_LIMIT_GB' | 'HEARTBEAT_URL'
    >;
  schedule: RecoverSchedule;
  /** `web` evaluates only while no worker does: its connections are for deliveries. */
  kind: 'web' | 'worker';
}

/** If the last successful evaluation is older than this number of intervals, the worker's evaluation fails. */
const overdueIntervals = 3;
const sendMs = 10_000;
const pingTimeoutMs = 10_000;

export function startAlerts(options: AlertTasksOptions): RunningTasks {
  const { database, log, config, schedule, kind } = options;
  const target = alertTargetOf(config);
  const intervalMs = config.ALERT_INTERVAL_SECONDS * 1_000;
  const startedAtMs = performance.now();
  const evaluate: BackgroundTask = {
    name: 'alerts',
    intervalMs,
    // After a deploy the other processes have to start first.
    waitsFirst: true,
    failureMessage: 'the alerts could not be evaluated; trying again',
    pass: async (signal) => {
      if (kind === 'web' && (await isDoneByWorker(database, intervalMs, startedAtMs))) return;
      const evaluation = await evaluateAlerts({
        database,
        lateSeconds: config.ALERT_PENDING_MINUTES * 60,
        sizeLimitBytes: config.DATABASE_SIZE_LIMIT_GB && config.DATABASE_SIZE_LIMIT_GB * 1e9,
        // A worker may have keys that web has not.
        schedule: kind === 'worker' ? schedule : undefined,
        isReported: target !== undefined,
      });
      if (!evaluation) return;
      const { raised, reminders, resolved, unread } = evaluation;
      if (unread.size > 0)
        log.warn({ signals: [...unread] }, 'some alerts were not evaluated: their statements took too long');
      if (raised.length + reminders.length + resolved.length > 0) tasks.wake('alert messages');
      if (config.HEARTBEAT_URL !== undefined && unread.size === 0)
        await ping(config.HEARTBEAT_URL, log, signal);
    },
  };
  const send: BackgroundTask = {
    name: 'alert messages',
    intervalMs: sendMs,
    failureMessage: 'messages about alerts could not be read; trying again',
    pass: async (signal) => {
      if (target) await sendMessages({ database, log, target }, signal);
    },
  };
  const tasks = startTasks(target ? [evaluate, send] : [evaluate], log);
  return tasks;
}

/** @param startedAtMs of this process, as performance.now(): before the first evaluation a worker gets as much time */
async function isDoneByWorker(database: Database, intervalMs: number, startedAtMs: number): Promise<boolean> {
  const isAlive = (await readProcesses(database)).some(({ kind, alive }) => kind === 'worker' && alive > 0);
  if (!isAlive) return false;
  const ageMs = (await readEvaluationAgeMs(database)) ?? performance.now() - startedAtMs;
  return ageMs < overdueIntervals * intervalMs;
}

/** A service outside that misses the ping knows that the alerts are not evaluated. */
async function ping(url: string, log: Logger, signal: AbortSignal): Promise<void> {
  const request = {
    method: 'POST' as const,
    url,
    headers: { 'user-agent': 'postbell' },
    body: Buffer.alloc(0),
  };
  try {
    const { status } = await post(
      request,
      AbortSignal.any([signal, AbortSignal.timeout(pingTimeoutMs)]),
      'the endpoint',
    );
    if (status > 299) log.warn({ status }, 'HEARTBEAT_URL did not accept the ping');
  } catch (error) {
    log.warn({ error: describeError(error).text }, 'HEARTBEAT_URL did not answer the ping');
  }
}
