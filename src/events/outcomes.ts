// Outcomes of an event: PROCESSED, IGNORED, a recorded failure, FAILED. A finished event keeps its status.
import { textArray } from '../database/binary-array.ts';
import { AtCommitError, type Queryable, type Transaction } from '../database/database.ts';
import { sqlState } from '../errors.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';
import { type Claim, claimValues, rowLockTimeout } from './locks.ts';

// Constants: `createFillIn` finds a text that was made anew in 1 µs, a constant at once.
const limitLockWait = `SET LOCAL lock_timeout = '${rowLockTimeout}'`;
const markProcessedText = `
      WITH marked AS (
        UPDATE {inbox}.webhook_events SET status = 'PROCESSED', processed_at = clock_timestamp(), attempts = attempts + 1,
          entity = coalesce($4, entity), last_error = NULL
        WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}
        RETURNING 1
      )
      SELECT 1 / count(*)::int FROM marked`;

/**
 * With the handler's COMMIT: its effects and PROCESSED together, or neither. This is the claim's guard: an event that
 * is no longer this job's (finished by another attempt, replayed, changed by an operator) fails the transaction with
 * SQLSTATE 22012, see `isClaimLost`. The row is locked only here, so that neither a duplicate's count nor an
 * operator's UPDATE has to wait for a handler; a row that is locked too long fails the transaction, see `isRowLocked`.
 */
export function markProcessed(tx: Transaction, key: EventKey, jobId: string, entity: string | null): void {
  tx.atCommit({ text: limitLockWait });
  tx.atCommit({
    name: 'mark_processed',
    text: markProcessedText,
    values: [key.source, key.eventId, jobId, entity],
  });
}

const markManyProcessedText = `
      WITH marked AS (
        UPDATE {inbox}.webhook_events e SET status = 'PROCESSED', processed_at = clock_timestamp(),
          attempts = attempts + 1, last_error = NULL
        FROM unnest($1::text[], $2::text[], $3::uuid[]) AS m (source, event_id, job_id)
        WHERE e.source = m.source AND e.event_id = m.event_id AND e.job_id = m.job_id AND ${isStillPending}
        RETURNING 1
      )
      SELECT 1 / (count(*) = cardinality($1))::int FROM marked`;

/** `markProcessed` for many, whose rows this transaction has locked: all of them, or the transaction fails. */
export function markManyProcessed(tx: Transaction, events: readonly Claim[]): void {
  tx.atCommit({
    name: 'mark_many_processed',
    text: markManyProcessedText,
    values: claimValues(events),
  });
}

/** Whether a transaction failed because an event of `markProcessed` was no longer its job's. */
export function isClaimLost(error: unknown): boolean {
  return error instanceof AtCommitError && sqlState(error.cause) === '22012';
}

/**
 * Settles events that nobody has to run: no handler, or stale. Skips rows that others hold locked.
 * @returns the events that are IGNORED now
 */
export async function markIgnored(
  tx: Queryable,
  ignored: readonly (Claim & { reason: string; entity: string | null })[],
): Promise<EventKey[]> {
  const { rows } = await tx.query<EventKey & Record<string, unknown>>({
    name: 'mark_ignored',
    text: `
      WITH free AS (
        SELECT i.* FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[])
          AS i (source, event_id, job_id, reason, entity)
        JOIN {inbox}.webhook_events e ON e.source = i.source AND e.event_id = i.event_id
        WHERE e.job_id = i.job_id AND ${isStillPending}
        FOR NO KEY UPDATE OF e SKIP LOCKED
      )
      UPDATE {inbox}.webhook_events e
      SET status = 'IGNORED', ignored_reason = f.reason, entity = coalesce(f.entity, e.entity)
      FROM free f WHERE e.source = f.source AND e.event_id = f.event_id AND e.job_id = f.job_id
      RETURNING e.source, e.event_id AS "eventId"`,
    values: [
      ...claimValues(ignored),
      textArray(ignored.map(({ reason }) => reason)),
      textArray(ignored.map(({ entity }) => entity)),
    ],
  });
  return rows;
}
