// The background tasks of a worker process. A new task is one entry in the list.
import type { Config } from '../config.ts';
import { type BackgroundTask, startTasks } from './background-tasks.ts';
import { countTask } from './count.ts';
import type { DeadLetterDeps } from './dead-letters.ts';
import { resumeTask, resumeTaskName } from './pauses.ts';
import { capturePurgeTask, purgeRules, purgeTask, purgeTaskName, quarantinePurgeTask } from './purge.ts';
import { reconcileTasks, taskNames } from './reconcile.ts';

export interface MaintenanceOptions extends DeadLetterDeps {
  config: Pick<
    Config,
    | 'RECONCILE_SECONDS'
    | 'SUPERVISE_SECONDS'
    | 'PAYLOAD_RETENTION_DAYS'
    | 'RAW_BODY_RETENTION_DAYS'
    | 'QUARANTINE_DAYS'
  >;
  /** `<SOURCE>_RETENTION_DAYS`. */
  retentionDays?: ReadonlyMap<string, number>;
}

export interface Maintenance {
  /** Events were set to PENDING: enqueue them at once. */
  onReplay(): void;
  /** A pause may have ended: release its events at once. */
  onPausesChanged(): void;
  /** Resolves when the passes that run have ended. */
  stop(): Promise<void>;
}

export function startMaintenance({ config, retentionDays, ...deps }: MaintenanceOptions): Maintenance {
  const rules = purgeRules(config, retentionDays ?? new Map());
  const list: readonly BackgroundTask[] = [
    ...reconcileTasks({
      ...deps,
      intervalMs: config.RECONCILE_SECONDS * 1_000,
      deadIntervalMs: config.SUPERVISE_SECONDS * 1_000,
      onCleared: () => tasks.wake(taskNames.replays),
    }),
    countTask({ ...deps, onCounted: () => tasks.wake(purgeTaskName) }),
    resumeTask({ ...deps, intervalMs: config.RECONCILE_SECONDS * 1_000 }),
    quarantinePurgeTask({ ...deps, days: config.QUARANTINE_DAYS }),
    capturePurgeTask(deps),
    ...(rules.length > 0 ? [purgeTask({ ...deps, rules })] : []),
  ];
  const tasks = startTasks(list, deps.log);
  return {
    onReplay: () => tasks.wake(taskNames.replays),
    onPausesChanged: () => tasks.wake(resumeTaskName),
    stop: () => tasks.stop(),
  };
}
