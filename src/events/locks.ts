// Locks on events' rows, taken without waiting: an operator's open transaction may hold a row for hours.
import { textArray, uuidArray } from '../database/binary-array.ts';
import { AtCommitError, type Queryable } from '../database/database.ts';
import { sqlState } from '../errors.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';

/** Another transaction holds the event's row: nothing can be written to it now, and its handler must not run. */
export class RowHeldError extends Error {
  constructor() {
    super('another transaction holds its row in webhook_events');
  }
}

/** How long the last statement of an attempt, or the record of its failure, waits for its event's row. */
export const rowLockTimeout = '1s';

/** Whether a transaction failed because the row of an event that it marks was held too long. */
export function isRowHeld(error: unknown): boolean {
  return (
    error instanceof RowHeldError || (error instanceof AtCommitError && sqlState(error.cause) === '55P03')
  );
}

/**
 * Locks the rows of events that still wait for these jobs, in one statement that does not wait.
 * @returns the ids of the jobs whose row was locked; the other rows are locked, finished or moved to another job
 */
export async function lockFreeRows(
  tx: Queryable,
  jobs: readonly { id: string; key: EventKey }[],
): Promise<Set<string>> {
  const { rows } = await tx.query<{ job_id: string }>({
    name: 'lock_free_rows',
    text: `
      SELECT e.job_id FROM webhook_events e
      JOIN unnest($1::text[], $2::text[], $3::uuid[]) AS j (source, event_id, job_id)
        ON e.source = j.source AND e.event_id = j.event_id AND e.job_id = j.job_id
      WHERE ${isStillPending} FOR NO KEY UPDATE OF e SKIP LOCKED`,
    values: [
      textArray(jobs.map(({ key }) => key.source)),
      textArray(jobs.map(({ key }) => key.eventId)),
      uuidArray(jobs.map(({ id }) => id)),
    ],
  });
  return new Set(rows.map((row) => row.job_id));
}

/**
 * Locks the event's row until the transaction ends. Does nothing where the row does not exist.
 * @throws RowHeldError
 */
export async function lockRow(tx: Queryable, key: EventKey): Promise<void> {
  const { rows } = await tx.query<{ isHeld: boolean }>({
    text: `
      WITH locked AS (
        SELECT FROM webhook_events WHERE source = $1 AND event_id = $2 FOR NO KEY UPDATE SKIP LOCKED
      )
      SELECT NOT EXISTS (SELECT FROM locked)
        AND EXISTS (SELECT FROM webhook_events WHERE source = $1 AND event_id = $2) AS "isHeld"`,
    values: [key.source, key.eventId],
  });
  if (rows[0]?.isHeld) throw new RowHeldError();
}
