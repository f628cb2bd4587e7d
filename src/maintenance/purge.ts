// Keeps the tables from growing for ever: purges settled events of PAYLOAD_RETENTION_DAYS ago, one worker at a time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { takeTurn } from '../events/locks.ts';
import { purgeEvents, purgeQuarantine, readCutoff } from '../events/retention.ts';
import type { Logger } from '../logger.ts';
import type { BackgroundTask } from './background-tasks.ts';

const batchSize = 500;
const passIntervalMs = 60_000;
/** A pass looks at what has come of age since the last; once in so long at everything, for what was settled late. */
const fullPassIntervalMs = 3_600_000;

export interface PurgeOptions {
  database: Database;
  log: Logger;
  /** As PAYLOAD_RETENTION_DAYS, in ms. */
  retentionMs: number;
}

export interface PurgeResult {
  events: number;
  /** Another worker is at it. */
  isTaken: boolean;
  /** What was settled before this arrival was purged; by the database's clock. See `readCutoff`. */
  before: string;
}

/**
 * Purges in batches, each its own transaction, until nothing is left to purge: so it cannot fall behind the arrivals.
 * Between two batches it rests as long as one took, and leaves the database to the others.
 * @param from arrival to start at, as `before` of an earlier result; null looks at everything
 */
export async function purge(
  { database, retentionMs }: Pick<PurgeOptions, 'database' | 'retentionMs'>,
  from: string | null = null,
  signal?: AbortSignal,
): Promise<PurgeResult> {
  const before = await readCutoff(database, retentionMs);
  let cursor = from;
  let events = 0;
  while (!signal?.aborted) {
    const startedAt = performance.now();
    const batch = await database.transaction(async (tx) => {
      if (!(await takeTurn(tx, 'purge'))) return undefined;
      return purgeEvents(tx, { before, from: cursor, limit: batchSize });
    });
    if (!batch) return { events, isTaken: true, before };
    cursor = batch.last ?? cursor;
    events += batch.count;
    if (batch.count < batchSize) break;
    await delay(performance.now() - startedAt);
  }
  return { events, isTaken: false, before };
}

export const purgeTaskName = 'purge';

/** Purges every minute, and when it is woken: what was not counted before could not be purged. */
export function purgeTask(options: PurgeOptions): BackgroundTask {
  let doneUpTo: string | null = null;
  let fullPassAt = 0;
  return {
    name: purgeTaskName,
    intervalMs: passIntervalMs,
    failureMessage: 'old events could not be purged',
    pass: async (signal) => {
      const startedAt = performance.now();
      const isFull = startedAt >= fullPassAt;
      const { events, isTaken, before } = await purge(options, isFull ? null : doneUpTo, signal);
      if (isTaken || signal.aborted) return;
      if (isFull) fullPassAt = startedAt + fullPassIntervalMs;
      doneUpTo = before;
      if (events) options.log.info({ events }, 'events older than PAYLOAD_RETENTION_DAYS were purged');
    },
  };
}

const quarantineIntervalMs = 600_000;

/** Also for a source whose quarantine was turned off: what it holds must not stay for ever. @param days as QUARANTINE_DAYS */
export function quarantinePurgeTask({
  database,
  log,
  days,
}: Pick<PurgeOptions, 'database' | 'log'> & { days: number }): BackgroundTask {
  return {
    name: 'quarantine purge',
    intervalMs: quarantineIntervalMs,
    failureMessage: 'old requests in quarantine could not be deleted',
    pass: async (signal) => {
      let requests = 0;
      for (let count = batchSize; count === batchSize && !signal.aborted; requests += count)
        count = await purgeQuarantine(database, { days, limit: batchSize });
      if (requests > 0) log.warn({ requests }, 'requests in quarantine were deleted after QUARANTINE_DAYS');
    },
  };
}
