// Wakes workers after commits, on a connection that no commit waits for.
import { setTimeout as delay } from 'node:timers/promises';
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { wakeWorkers } from '../queue/notify.ts';

/** In a commit, a notification would take a lock that all commits of the database share. */
const pauseMs = 20;

export interface WorkerWakeups {
  /** Events were committed: the first notification leaves at once, then one per 20 ms at most. Never throws. */
  send(): void;
  /** Resolves when the last notification has left. */
  close(): Promise<void>;
}

export function createWorkerWakeups({ database, log }: { database: Queryable; log: Logger }): WorkerWakeups {
  let isDue = false;
  let sending: Promise<void> | undefined;

  async function sendAll(): Promise<void> {
    while (isDue) {
      isDue = false;
      try {
        await wakeWorkers(database);
      } catch (error) {
        // Idle workers poll.
        log.warn({ error: describeError(error).text }, 'workers could not be woken');
      }
      await delay(pauseMs);
    }
    sending = undefined;
  }

  return {
    send: () => {
      isDue = true;
      sending ??= sendAll();
    },
    close: async () => {
      await sending;
    },
  };
}
