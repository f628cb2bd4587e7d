// The background tasks of a worker process. A new task is one entry in the list.
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import type { Queue } from '../queue/queue.ts';
import { type BackgroundTask, startTasks } from './background-tasks.ts';
import { purgeTask } from './purge.ts';
import { reconcileTasks, taskNames } from './reconcile.ts';

export interface MaintenanceOptions {
  config: Pick<Config, 'RECONCILE_SECONDS' | 'SUPERVISE_SECONDS' | 'PAYLOAD_RETENTION_DAYS'>;
  database: Database;
  queue: Queue;
  log: Logger;
  /** Events were enqueued: a worker should look. */
  onEnqueued: () => void;
}

export interface Maintenance {
  /** Events were set to PENDING: enqueue them at once. */
  onReplay(): void;
  /** A job was dead-lettered: set its event to FAILED at once. */
  onDead(): void;
  /** Resolves when the passes that run have ended. */
  stop(): Promise<void>;
}

export function startMaintenance({
  config,
  database,
  queue,
  log,
  onEnqueued,
}: MaintenanceOptions): Maintenance {
  const retentionMs = config.PAYLOAD_RETENTION_DAYS * 86_400_000;
  const list: readonly BackgroundTask[] = [
    ...reconcileTasks({
      database,
      queue,
      log,
      intervalMs: config.RECONCILE_SECONDS * 1_000,
      deadIntervalMs: config.SUPERVISE_SECONDS * 1_000,
      onEnqueued,
      onCleared: () => tasks.wake(taskNames.replays),
    }),
    ...(retentionMs > 0 ? [purgeTask({ database, log, retentionMs })] : []),
  ];
  const tasks = startTasks(list, log);
  return {
    onReplay: () => tasks.wake(taskNames.replays),
    onDead: () => tasks.wake(taskNames.deadLetters),
    stop: () => tasks.stop(),
  };
}
