// Keeps the tables from growing for ever: purges settled events of PAYLOAD_RETENTION_DAYS ago, one worker at a time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from './database/database.ts';
import { lockPurge, purgeEntityClocks, purgeEvents } from './event-retention.ts';
import type { Logger } from './logger.ts';
import { type Repeated, repeat } from './repeat.ts';

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
  clocks: number;
  /** Another worker is at it. */
  isTaken: boolean;
}

/**
 * Purges in batches, each its own transaction, until nothing is left to purge: so it cannot fall behind the arrivals.
 * Between two batches it rests as long as one took, and leaves the database to the others.
 * @param from arrival to start at; null looks at everything, entity clocks included
 */
export async function purge(
  { database, retentionMs }: Pick<PurgeOptions, 'database' | 'retentionMs'>,
  from: Date | null = null,
  signal?: AbortSignal,
): Promise<PurgeResult> {
  const before = new Date(Date.now() - retentionMs);
  const result: PurgeResult = { events: 0, clocks: 0, isTaken: false };
  let cursor = from?.toISOString() ?? null;
  const inBatches = async (batch: () => Promise<number | undefined>) => {
    while (!signal?.aborted) {
      const startedAt = performance.now();
      const count = await batch();
      if (count === undefined) result.isTaken = true;
      if (count === undefined || count < batchSize) return;
      await delay(performance.now() - startedAt);
    }
  };
  await inBatches(() =>
    database.transaction(async (tx) => {
      if (!(await lockPurge(tx))) return undefined;
      const { count, last } = await purgeEvents(tx, { before, from: cursor, limit: batchSize });
      cursor = last ?? cursor;
      result.events += count;
      return count;
    }),
  );
  if (from !== null || result.isTaken) return result;
  await inBatches(() =>
    database.transaction(async (tx) => {
      if (!(await lockPurge(tx))) return undefined;
      const count = await purgeEntityClocks(tx, before, batchSize);
      result.clocks += count;
      return count;
    }),
  );
  return result;
}

/** Purges at once and then every minute. */
export function startPurge(options: PurgeOptions): Repeated {
  const { log, retentionMs } = options;
  const stopping = new AbortController();
  let doneUpTo: Date | null = null;
  let fullPassAt = 0;
  const repeated = repeat(passIntervalMs, log, 'old events could not be purged', async () => {
    const startedAt = Date.now();
    const isFull = startedAt >= fullPassAt;
    const { events, clocks, isTaken } = await purge(options, isFull ? null : doneUpTo, stopping.signal);
    if (isTaken || stopping.signal.aborted) return;
    if (isFull) fullPassAt = startedAt + fullPassIntervalMs;
    doneUpTo = new Date(startedAt - retentionMs);
    if (events || clocks)
      log.info({ events, clocks }, 'what was older than PAYLOAD_RETENTION_DAYS was purged');
  });
  return {
    wake: repeated.wake,
    stop: async () => {
      stopping.abort();
      await repeated.stop();
    },
  };
}
