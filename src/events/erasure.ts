// Erasure in slices: a table of any size is read by bounded statements, and what is found is erased slice by slice.
import type { Database } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import { type Erasure, eraseBeyondEvents, eraseEvents, findInSlice } from './erase.ts';
import type { EventStatus } from './event.ts';
import { beginErasure, endErasure, recordErased } from './operator-actions.ts';

export interface ErasureProgress {
  /** Rows that were looked at. */
  scanned: number;
  /** Events that were found so far. */
  found: number;
}

interface Watch {
  /** Called after each slice. */
  onProgress?: (progress: ErasureProgress) => void;
  /** When aborted, no further slice starts. */
  signal?: AbortSignal;
}

/** Counts the matching events by status. Reads every event of the source, or of all sources. */
export async function countErasure(
  database: Database,
  erasure: Erasure,
  watch: Watch = {},
): Promise<Record<EventStatus, number>> {
  const counts = { PENDING: 0, PROCESSED: 0, FAILED: 0, IGNORED: 0 };
  await forEachSlice(database, erasure, watch, async (found) => {
    for (const { status } of found) counts[status]++;
  });
  return counts;
}

interface ErasureOptions extends Watch {
  operator: string;
  /** Number of events, and of rows of other tables, that were confirmed. */
  matched: number;
  /** Also PENDING events, which then never run. */
  force: boolean;
}

/**
 * Erases the matching events: each slice is a transaction, and its count is recorded with it. Whatever interrupts it, the
 * same call goes on: what was erased does not match any more.
 * @returns the number of events, and of rows of other tables that held the value
 */
export async function erase(
  database: Database,
  erasure: Erasure,
  { operator, matched, force, ...watch }: ErasureOptions,
): Promise<{ erased: number; others: number }> {
  const id = await beginErasure(database, { operator, erasure, matched });
  let erased = 0;
  await forEachSlice(database, erasure, watch, async (found) => {
    if (found.length === 0) return;
    erased += await database.transaction(async (tx) => {
      const count = await eraseEvents(tx, found, force);
      await recordErased(tx, id, count);
      return count;
    });
  });
  if (watch.signal?.aborted) return { erased, others: 0 };
  const others = await database.transaction(async (tx) => {
    const count = await eraseBeyondEvents(tx, erasure);
    await recordErased(tx, id, count);
    await endErasure(tx, id);
    return count;
  });
  return { erased, others };
}

type Found = EventKey & { status: EventStatus };

async function forEachSlice(
  database: Database,
  erasure: Erasure,
  { onProgress, signal }: Watch,
  take: (found: readonly Found[]) => Promise<void>,
): Promise<void> {
  const progress = { scanned: 0, found: 0 };
  let after: EventKey | undefined;
  do {
    const slice = await findInSlice(database, erasure, after);
    await take(slice.found);
    progress.scanned += slice.scanned;
    progress.found += slice.found.length;
    onProgress?.({ ...progress });
    after = slice.last;
  } while (after && !signal?.aborted);
}
