// rehearsals: asked for on the operators' page, run by a worker. All times are the database's.
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';

/** Later, nobody expects the calls to the outside any more. */
const takenWithin = `interval '10 minutes'`;
const keptFor = `interval '1 day'`;

/** `lost`: its worker died. `expired`: no worker took it in time. */
export type RehearsalState = 'waiting' | 'running' | 'ended' | 'lost' | 'expired';

export interface AskedRehearsal {
  id: number;
  askedBy: string;
  askedAt: Date;
  state: RehearsalState;
  /** As the worker wrote it. null: there is none, or there is a problem. */
  result: unknown;
  problem: string | null;
}

/** SQL: the state of a row of `rehearsals`. */
const state = `CASE WHEN ended_at IS NOT NULL THEN 'ended'
  WHEN started_at IS NULL THEN CASE WHEN asked_at > now() - ${takenWithin} THEN 'waiting' ELSE 'expired' END
  WHEN now() < ends_before THEN 'running' ELSE 'lost' END`;

/**
 * The notification is the caller's.
 * @returns false where there is no such event, or a rehearsal of it waits or runs: its calls to the outside would happen twice
 */
export async function askForRehearsal(
  tx: Queryable,
  { source, eventId }: EventKey,
  askedBy: string,
): Promise<boolean> {
  // Two operators may ask at once. A statement of its own: the snapshot of the next must be taken after the lock is granted.
  await tx.query({
    text: `SELECT pg_advisory_xact_lock(hashtextextended('{postbell} rehearsal/' || $1 || '/' || $2, 0))`,
    values: [source, eventId],
  });
  const { rowCount } = await tx.query({
    text: `INSERT INTO {inbox}.rehearsals (source, event_id, asked_by) SELECT source, event_id, $3 FROM {inbox}.webhook_events
      WHERE source = $1 AND event_id = $2 AND NOT EXISTS (SELECT FROM {inbox}.rehearsals r
        WHERE r.source = $1 AND r.event_id = $2 AND ${state} IN ('waiting', 'running'))`,
    values: [source, eventId, askedBy],
  });
  return rowCount === 1;
}

/** The newest rehearsal of an event, of the last day. */
export async function findRehearsal(
  database: Queryable,
  { source, eventId }: EventKey,
): Promise<AskedRehearsal | undefined> {
  const { rows } = await database.query<AskedRehearsal & Record<string, unknown>>({
    text: `SELECT id::int, asked_by AS "askedBy", asked_at AS "askedAt", ${state} AS state, result, problem
      FROM {inbox}.rehearsals WHERE source = $1 AND event_id = $2 AND asked_at > now() - ${keptFor}
      ORDER BY id DESC LIMIT 1`,
    values: [source, eventId],
  });
  return rows[0];
}

/**
 * Takes the oldest rehearsal that waits, for good: should its worker die, no other runs it again. Deletes those of more than a
 * day ago.
 */
export async function takeRehearsal(
  tx: Queryable,
  timeoutMs: number,
): Promise<(EventKey & { id: number }) | undefined> {
  const { rows } = await tx.query<EventKey & { id: number } & Record<string, unknown>>({
    name: 'take_rehearsal',
    text: `WITH old AS (DELETE FROM {inbox}.rehearsals WHERE asked_at < now() - ${keptFor})
      UPDATE {inbox}.rehearsals SET started_at = now(),
        ends_before = now() + $1::float8 * interval '1 ms' + interval '1 minute'
      WHERE id = (SELECT id FROM {inbox}.rehearsals WHERE started_at IS NULL AND asked_at > now() - ${takenWithin}
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id::int, source, event_id AS "eventId"`,
    values: [timeoutMs],
  });
  return rows[0];
}

/** Writes what a rehearsal came to: the result, or the problem why there is none. */
export async function endRehearsal(
  database: Queryable,
  id: number,
  { result, problem }: { result?: unknown; problem?: string },
): Promise<void> {
  await database.query({
    text: `UPDATE {inbox}.rehearsals SET ended_at = now(), result = $2::jsonb, problem = $3
      WHERE id = $1 AND ended_at IS NULL`,
    values: [id, result === undefined ? null : JSON.stringify(result), problem ?? null],
  });
}
