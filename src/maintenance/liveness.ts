// Signs of life of this process in the database, so that its end and its outages are known to others.
import type { Database } from '../database/database.ts';
import {
  deleteOldProcesses,
  type ProcessIdentity,
  recordSignOfLife,
  recordStop,
  signOfLifeMs,
} from '../events/processes.ts';
import type { Logger } from '../logger.ts';
import { startTasks } from './background-tasks.ts';

export interface LivenessOptions {
  database: Database;
  log: Logger;
  self: ProcessIdentity;
  /** Default: `signOfLifeMs`. */
  intervalMs?: number;
}

export interface Liveness {
  /** Records that the process was told to end. To be called while the database can still be reached. Never rejects. */
  stop(): Promise<void>;
}

/** The first sign of life comes at once. */
export function startLiveness({ database, log, self, intervalMs = signOfLifeMs }: LivenessOptions): Liveness {
  let isFirst = true;
  /** By performance.now(). */
  let failingSinceMs: number | undefined;
  const pass = async () => {
    const startedAtMs = performance.now();
    try {
      const outageMs = failingSinceMs === undefined ? null : startedAtMs - failingSinceMs;
      await recordSignOfLife(database, self, outageMs);
      failingSinceMs = undefined;
      if (isFirst) await deleteOldProcesses(database);
      isFirst = false;
    } catch (error) {
      failingSinceMs ??= startedAtMs;
      throw error;
    }
  };
  const failureMessage = 'a sign of life could not be committed; trying again';
  const tasks = startTasks([{ name: 'liveness', intervalMs, failureMessage, pass }], log);
  return {
    stop: async () => {
      await tasks.stop();
      if (failingSinceMs !== undefined) return;
      await recordStop(database, self.id).catch(() => {}); // without it, the others notice a minute later
    },
  };
}
