// Replays by filter: the same UPDATE that an operator would type, in batches.
import type { Queryable } from '../database/database.ts';
import type { EventFilter } from './filter.ts';
import { type ReplayCursor, replayMatching } from './queries.ts';

const batchSize = 1_000;

export interface ReplayProgress {
  /** Told after each batch how many have been replayed so far. */
  onProgress?: (replayed: number) => void;
  /** When aborted, no further batch is begun. */
  signal?: AbortSignal;
}

/**
 * Sets the matching events to PENDING, so many at a time that a million of them lock no table and an interruption
 * leaves whole batches behind. The trigger wakes the reconciler.
 * @returns how many
 */
export async function replay(
  database: Queryable,
  filter: EventFilter,
  { onProgress, signal }: ReplayProgress = {},
): Promise<number> {
  let total = 0;
  let after: ReplayCursor | undefined;
  while (!signal?.aborted) {
    const { count, next } = await replayMatching(database, filter, batchSize, after);
    total += count;
    onProgress?.(total);
    if (count === 0) break;
    after = next;
  }
  return total;
}
