// What Postgres believes about the size of the queue, kept true while there is a backlog.
//
// A queue is empty most of the time, and autovacuum takes its statistics then. When a burst comes, Postgres plans the
// statements on it for one or two jobs and finds each by the queue's name alone, which all of them have: with 37,000
// waiting, the fetch of 256 took 0.6 s; with a million it would run into its time limit. Autovacuum looks once a minute,
// later where another table keeps it busy; by then a burst is over, or has piled up.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** Below this any plan is good enough. */
const fewPages = 64;
const intervalMs = 1_000;
/** A fetch takes a few ms. */
const slowMs = 100;
/** More than any statistics know of. */
const everything = Number.MAX_SAFE_INTEGER;

export interface QueueStatistics {
  /**
   * To be told of each fetch. Looks at most once a second, and only where as many came as were asked for, or where they
   * were long in coming: a queue full of jobs that are not due yet gives few.
   */
  noteFetch(count: number, limit: number, tookMs: number): void;
  /** To be told of a fetch that failed: it may have been the plan that was too slow. */
  noteFailure(): void;
  /** Resolves when nothing of it runs any more. */
  settled(): Promise<void>;
}

/** @param now a clock in ms, for tests */
export function createQueueStatistics(
  database: Queryable,
  log: Logger,
  now: () => number = () => performance.now(),
): QueueStatistics {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;
  /** Undefined: there is none. */
  let backlog: { fetched: number; dueAt: number; nextMs: number } | undefined;

  const mayLook = () => !running && now() - lookedAt >= intervalMs;

  function look(atLeast: number): void {
    lookedAt = now();
    running = renew(database, atLeast)
      .catch((error: unknown) =>
        log.warn({ error: describeError(error).text }, "the queue's statistics could not be renewed"),
      )
      .finally(() => {
        running = undefined;
      });
  }

  return {
    noteFetch: (count, limit, tookMs) => {
      const isSlow = tookMs > slowMs;
      if (count < limit && !isSlow) {
        backlog = undefined;
        return;
      }
      backlog ??= { fetched: 0, dueAt: now() + intervalMs, nextMs: 2 * intervalMs };
      backlog.fetched += count;
      if (!mayLook()) return;
      if (now() < backlog.dueAt) return look(count);
      // As many jobs as were fetched in this backlog may still wait. The interval doubles: where the workers keep up with
      // what arrives, another look would find nothing new.
      look(isSlow ? everything : backlog.fetched);
      backlog = { ...backlog, dueAt: now() + backlog.nextMs, nextMs: 2 * backlog.nextMs };
    },
    noteFailure: () => {
      if (mayLook()) look(everything);
    },
    settled: async () => running,
  };
}

/** Runs ANALYZE where the statistics know of less than half of the table, or of fewer jobs than `atLeast`. */
async function renew(database: Queryable, atLeast: number): Promise<void> {
  const { rows } = await database.query<{ areStale: boolean | null }>({
    name: 'queue_statistics_are_stale',
    text: `
      SELECT sum(pages) > $1 AND (sum(pages) > 2 * sum(relpages) OR sum(reltuples * pages / greatest(relpages, 1)) < $2)
        AS "areStale"
      FROM (
        SELECT relpages, reltuples, pg_relation_size(oid) / current_setting('block_size')::int AS pages
        FROM pg_class JOIN pg_partition_tree('{queue}.job') ON relid = oid WHERE isleaf
      ) AS part`,
    values: [fewPages, atLeast],
  });
  // It drops the plans that were made by the old ones, those of prepared statements too. It does not wait for a VACUUM
  // that has the table: that one renews them itself.
  if (rows[0]?.areStale) await database.query({ text: 'ANALYZE (SKIP_LOCKED) {queue}.job' });
}
