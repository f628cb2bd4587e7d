// Replays by filter: the same UPDATE that an operator would type, in batches.
import type { Queryable } from '../database/database.ts';
import { wakeReconciler } from '../queue/notify.ts';
import type { EventFilter } from './filter.ts';
import { type ArrivalCursor, type ReplayKindName, replayMatching } from './queries.ts';

const batchSize = 1_000;

export interface ReplayOptions {
  /**
   * `afresh` (the default) sets events that are settled to PENDING. `now` takes PENDING events out of the job that waits
   * for a retry or for the end of a `Later`; their failures and deferrals still count.
   */
  kind?: ReplayKindName;
  /** Called after each batch with the number of events replayed so far. */
  onProgress?: (replayed: number) => void;
  /** When aborted, no further batch starts. */
  signal?: AbortSignal;
}

/**
 * Replays the matching events in batches: a replay of a million events locks no table, and an interruption leaves whole
 * batches. Each batch wakes the reconciler.
 * @returns the number of events
 */
export async function replay(
  database: Queryable,
  filter: EventFilter,
  { kind = 'afresh', onProgress, signal }: ReplayOptions = {},
): Promise<number> {
  let total = 0;
  let after: ArrivalCursor | undefined;
  while (!signal?.aborted) {
    const { count, next } = await replayMatching(database, filter, { kind, limit: batchSize, after });
    total += count;
    onProgress?.(total);
    if (count === 0) break;
    // The trigger does it where the status changes.
    if (kind === 'now') await wakeReconciler(database);
    after = next;
  }
  return total;
}
