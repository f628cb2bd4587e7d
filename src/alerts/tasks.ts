// The background tasks of alerts, in web and in worker: look once a minute, send what is to be told.
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
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
  /** `web` looks only while no worker lives: its connections are for deliveries. */
  kind: 'web' | 'worker';
}

const sendMs = 10_000;
const pingTimeoutMs = 10_000;

export function startAlerts(options: AlertTasksOptions): RunningTasks {
  const { database, log, config, schedule, kind } = options;
  const target = alertTargetOf(config);
  const evaluate: BackgroundTask = {
    name: 'alerts',
    intervalMs: config.ALERT_INTERVAL_SECONDS * 1_000,
    // After a deploy the other processes have to start first.
    waitsFirst: true,
    failureMessage: 'the alerts could not be evaluated; trying again',
    pass: async (signal) => {
      if (kind === 'web' && (await isWorkerAlive(database))) return;
      const transition = await evaluateAlerts({
        database,
        lateSeconds: config.ALERT_PENDING_MINUTES * 60,
        sizeLimitBytes: config.DATABASE_SIZE_LIMIT_GB && config.DATABASE_SIZE_LIMIT_GB * 1e9,
        schedule,
        isTold: target !== undefined,
      });
      if (!transition) return;
      if (transition.raised.length + transition.reminders.length + transition.resolved.length > 0)
        tasks.wake('alert messages');
      if (config.HEARTBEAT_URL !== undefined) await ping(config.HEARTBEAT_URL, log, signal);
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

async function isWorkerAlive(database: Database): Promise<boolean> {
  return (await readProcesses(database)).some(({ kind, alive }) => kind === 'worker' && alive > 0);
}

/** For a dead man's switch outside: a ping says that the alerts are looked at. */
async function ping(url: string, log: Logger, signal: AbortSignal): Promise<void> {
  const request = {
    method: 'POST' as const,
    url,
    headers: { 'user-agent': 'postbell' },
    body: Buffer.alloc(0),
  };
  try {
    const { status } = await post(request, AbortSignal.any([signal, AbortSignal.timeout(pingTimeoutMs)]));
    if (status > 299) log.warn({ status }, 'HEARTBEAT_URL did not accept the ping');
  } catch (error) {
    log.warn({ error: describeError(error).text }, 'HEARTBEAT_URL did not answer the ping');
  }
}
