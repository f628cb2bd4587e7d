// Replays by filter: the same UPDATE that an operator would type, in batches.
import type { Queryable } from '../database/database.ts';
import type { EventFilter } from './filter.ts';
import { type ReplayCursor, replayMatching } from './queries.ts';

const batchSize = 1_000;

export interface ReplayProgress {
  /** Called after each batch with the number of events replayed so far. */
  onProgress?: (replayed: number) => void;
  /** When aborted, no further batch starts. */
  signal?: AbortSignal;
}

/**
 * Sets the matching events to PENDING, in batches: a replay of a million events locks no table, and an interruption
 * leaves whole batches. The trigger wakes the reconciler.
 * @returns the number of events
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
