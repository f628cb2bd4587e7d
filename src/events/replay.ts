// Replays by filter: the same UPDATE that an operator would type, in batches.
import type { Queryable } from '../database/database.ts';
import { wakeReconciler } from '../queue/notify.ts';
import { startOfWaitingJob } from '../queue/start-time.ts';
import { type EventFilter, filterConditions } from './filter.ts';
import type { ArrivalCursor } from './queries.ts';

const batchSize = 1_000;

/** A kind of replay, in the words of SQL on `webhook_events e`. */
interface ReplayKind {
  /** The events that can be replayed so. */
  condition: string;
  assignment: string;
}

/**
 * `afresh`: events that are not PENDING and still have their body; the trigger does the rest. `now`: PENDING events whose job starts later; the
 * reconciler inserts another job, and whoever fetches the old job finds that the event has left it.
 */
const replayKinds = {
  afresh: { condition: `status <> 'PENDING' AND erased_at IS NULL`, assignment: `status = 'PENDING'` },
  now: {
    condition: `status = 'PENDING' AND ${startOfWaitingJob('e.job_id')} > now()`,
    assignment: 'job_id = NULL',
  },
} as const satisfies Record<string, ReplayKind>;

export type ReplayKindName = keyof typeof replayKinds;

/** The events that `replayMatching` would replay. @param atMost counts no further */
export async function countMatching(
  database: Queryable,
  filter: EventFilter,
  kind: ReplayKindName = 'afresh',
  atMost: number | null = null,
): Promise<number> {
  const { conditions, values } = filterConditions(filter, 2);
  const { rows } = await database.query<{ count: number }>({
    text: `SELECT count(*)::int AS count FROM (SELECT FROM {inbox}.webhook_events e
      WHERE ${replayKinds[kind].condition} AND ${conditions} LIMIT $1) AS matching`,
    values: [atMost, ...values],
  });
  return rows[0]!.count;
}

/**
 * Replays up to `limit` matching events, oldest first after `after`; rows locked by others are left out.
 * Because of the cursor a replay never takes an event twice, even if a worker has finished it since.
 */
export async function replayMatching(
  database: Queryable,
  filter: EventFilter,
  {
    kind = 'afresh',
    limit,
    after,
  }: { kind?: ReplayKindName; limit: number; after: ArrivalCursor | undefined },
): Promise<{ count: number; next: ArrivalCursor | undefined }> {
  const { condition, assignment } = replayKinds[kind];
  const { conditions, values } = filterConditions(filter, 5);
  const { rows } = await database.query<ArrivalCursor & Record<string, unknown>>({
    text: `
      WITH target AS (
        SELECT source, event_id FROM {inbox}.webhook_events e
        WHERE ${condition} AND ${conditions}
          AND ($2::timestamptz IS NULL OR (received_at, source, event_id) > ($2, $3, $4))
        ORDER BY received_at, source, event_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
      ), replayed AS (
        UPDATE {inbox}.webhook_events e SET ${assignment} FROM target t
        WHERE e.source = t.source AND e.event_id = t.event_id
        RETURNING e.source, e.event_id, e.received_at
      )
      SELECT source, event_id AS "eventId", received_at::text AS "receivedAt" FROM replayed
      ORDER BY received_at, source, event_id`,
    values: [limit, after?.receivedAt ?? null, after?.source ?? '', after?.eventId ?? '', ...values],
  });
  return { count: rows.length, next: rows.at(-1) };
}

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
