// Counts duplicates on their events' rows, beside the commits: no provider waits for a count.
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { countDuplicates, type DuplicateCount } from '../events/duplicates.ts';
import type { NewEvent } from '../events/event.ts';
import type { Logger } from '../logger.ts';
import { createCountingLoop } from './counting-loop.ts';

export interface DuplicateCounter {
  /** Never throws. A crash of the process loses the counts of the last moments, and no event. */
  add(duplicates: readonly NewEvent[]): void;
  /** Counts once more. Rows that are locked then stay uncounted. */
  close(): Promise<void>;
}

export interface DuplicateCounterOptions {
  database: Pick<Database, 'transaction'>;
  log: Logger;
  /** Told of deliveries whose body is not the body that is stored under their id. */
  onConflicts: (source: string, count: number) => void;
}

/** How long to collect counts, so that one statement covers many. */
const collectMs = 50;
/** After a locked row, or an error. */
const retryMs = 250;
/** A row may be locked for hours: beyond so many counts the newest are dropped. */
const maxWaiting = 10_000;
const maxPerStatement = 500;

const settings = {
  // Nothing was promised to anybody.
  synchronous_commit: 'off',
  // While another session locks the whole table, the connection is for deliveries.
  lock_timeout: '200ms',
  statement_timeout: '4s',
  // Plans are kept: a plan made while the table was small must not read the whole table once it is large.
  enable_seqscan: 'off',
};

export function createDuplicateCounter({
  database,
  log,
  onConflicts,
}: DuplicateCounterOptions): DuplicateCounter {
  const waiting = new Map<string, DuplicateCount>();

  function put({ source, eventId, bodySha256, count }: DuplicateCount): void {
    const key = JSON.stringify([source, eventId, bodySha256.toString('base64')]);
    const known = waiting.get(key);
    if (known) known.count += count;
    else if (waiting.size < maxWaiting) waiting.set(key, { source, eventId, bodySha256, count });
  }

  function take(): DuplicateCount[] {
    const taken = [...waiting].slice(0, maxPerStatement);
    for (const [key] of taken) waiting.delete(key);
    return taken.map(([, counts]) => counts);
  }

  async function countSome(): Promise<'all counted' | 'some are locked' | 'failed'> {
    const some = take();
    try {
      const { stillUncounted, conflicting } = await database.transaction((tx) => countDuplicates(tx, some), {
        settings,
      });
      for (const { source, count } of conflicting) onConflicts(source, count);
      stillUncounted.forEach(put);
      return stillUncounted.length === 0 ? 'all counted' : 'some are locked';
    } catch (error) {
      some.forEach(put);
      log.warn({ error: describeError(error).text }, 'duplicates could not be counted; trying again');
      return 'failed';
    }
  }

  const loop = createCountingLoop({
    hasCounts: () => waiting.size > 0,
    collectMs,
    write: async () => ((await countSome()) === 'all counted' ? collectMs : retryMs),
  });

  return {
    add: (duplicates) => {
      for (const event of duplicates) put({ ...event, count: 1 });
      loop.wake();
    },
    close: async () => {
      await loop.stop();
      for (let left = waiting.size; left > 0; left -= maxPerStatement) {
        // A database that is away must not keep the process from its end.
        if ((await countSome()) === 'failed') return;
      }
    },
  };
}
