// Counts every rejection by source, slot of time and reason, in memory; every 10 s it adds the counts to rejection_counts.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { addRejectionCounts, type RejectionCount, rejectionSlotMs } from '../events/rejection-counts.ts';
import type { Logger } from '../logger.ts';
import { createCountingLoop } from './counting-loop.ts';

export interface RejectionCounter {
  /**
   * Never waits and never throws. A crash of the process loses the counts of the last `intervalMs`.
   * @param source a known name: a stranger must not add rows
   */
  count(source: string, reason: string, requests?: number): void;
  /** Writes the counts once more. Never rejects; a database that is away then loses them. */
  close(): Promise<void>;
}

export interface RejectionCounterOptions {
  database: Queryable;
  log: Logger;
  /** Default: the clock of this machine. */
  now?: () => Date;
  /** Pause before a write. Default: 10 s. */
  intervalMs?: number;
}

/** The database may be away for days: beyond so many slots, sources and reasons new ones are not counted. */
const maxWaiting = 10_000;

export function createRejectionCounter(options: RejectionCounterOptions): RejectionCounter {
  const { database, log, now = () => new Date(), intervalMs = 10_000 } = options;
  const waiting = new Map<string, RejectionCount>();

  function put(some: RejectionCount): void {
    const key = JSON.stringify([some.source, some.slotAt.getTime(), some.reason]);
    const known = waiting.get(key);
    if (known) {
      known.rejected += some.rejected;
      if (some.lastAt > known.lastAt) known.lastAt = some.lastAt;
    } else if (waiting.size < maxWaiting) waiting.set(key, some);
  }

  async function write(): Promise<void> {
    const taken = [...waiting.values()];
    waiting.clear();
    if (taken.length === 0) return;
    try {
      await addRejectionCounts(database, taken);
    } catch (error) {
      taken.forEach(put);
      log.warn({ error: describeError(error).text }, 'rejections could not be counted; trying again');
    }
  }

  const loop = createCountingLoop({
    hasCounts: () => waiting.size > 0,
    collectMs: intervalMs,
    write: async () => {
      await write();
      return intervalMs;
    },
  });

  return {
    count: (source, reason, requests = 1) => {
      const lastAt = now();
      const slotAt = new Date(lastAt.getTime() - (lastAt.getTime() % rejectionSlotMs));
      put({ source, slotAt, reason, rejected: requests, lastAt });
      loop.wake();
    },
    close: async () => {
      await loop.stop();
      await write();
    },
  };
}
