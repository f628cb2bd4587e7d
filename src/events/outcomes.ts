// Outcomes of an event: PROCESSED, IGNORED, a recorded failure, FAILED. A finished event keeps its status.
import { textArray, uuidArray } from '../database/binary-array.ts';
import { AtCommitError, type Queryable, type Transaction } from '../database/database.ts';
import { sqlState } from '../errors.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';
import { rowLockTimeout } from './locks.ts';

/**
 * With the handler's COMMIT: its effects and PROCESSED together, or neither. This is the claim's guard: an event that
 * is no longer this job's (finished by another attempt, replayed, changed by an operator) fails the transaction with
 * SQLSTATE 22012, see `isClaimLost`. The row is locked only here, so that neither a duplicate's count nor an
 * operator's UPDATE has to wait for a handler; a row that is locked too long fails the transaction, see `isRowHeld`.
 */
export function markProcessed(tx: Transaction, key: EventKey, jobId: string, entity: string | null): void {
  tx.atCommit({ text: `SET LOCAL lock_timeout = '${rowLockTimeout}'` });
  tx.atCommit({
    name: 'mark_processed',
    text: `
      WITH marked AS (
        UPDATE webhook_events SET status = 'PROCESSED', processed_at = clock_timestamp(), attempts = attempts + 1,
          entity = coalesce($4, entity), last_error = NULL
        WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}
        RETURNING 1
      )
      SELECT 1 / count(*)::int FROM marked`,
    values: [key.source, key.eventId, jobId, entity],
  });
}

/** `markProcessed` for many, whose rows this transaction has locked: all of them, or the transaction fails. */
export function markManyProcessed(tx: Transaction, events: readonly (EventKey & { jobId: string })[]): void {
  tx.atCommit({
    name: 'mark_many_processed',
    text: `
      WITH marked AS (
        UPDATE webhook_events e SET status = 'PROCESSED', processed_at = clock_timestamp(),
          attempts = attempts + 1, last_error = NULL
        FROM unnest($1::text[], $2::text[], $3::uuid[]) AS m (source, event_id, job_id)
        WHERE e.source = m.source AND e.event_id = m.event_id AND e.job_id = m.job_id AND ${isStillPending}
        RETURNING 1
      )
      SELECT 1 / (count(*) = cardinality($1))::int FROM marked`,
    values: [
      textArray(events.map((event) => event.source)),
      textArray(events.map((event) => event.eventId)),
      uuidArray(events.map((event) => event.jobId)),
    ],
  });
}

/** Whether a transaction failed because an event of `markProcessed` was no longer its job's. */
export function isClaimLost(error: unknown): boolean {
  return error instanceof AtCommitError && sqlState(error.cause) === '22012';
}

/** Ends an event that need not run: no handler, or stale. False where its row is locked, or no longer this job's. */
export async function markIgnored(
  tx: Queryable,
  key: EventKey,
  jobId: string,
  reason: string,
  entity: string | null = null,
): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'mark_ignored',
    text: `
      WITH free AS (
        SELECT source, event_id FROM webhook_events WHERE source = $1 AND event_id = $2
        FOR NO KEY UPDATE SKIP LOCKED
      )
      UPDATE webhook_events e SET status = 'IGNORED', ignored_reason = $4, entity = coalesce($5, entity)
      FROM free
      WHERE e.source = free.source AND e.event_id = free.event_id AND e.job_id = $3 AND ${isStillPending}`,
    values: [key.source, key.eventId, jobId, reason, entity],
  });
  return rowCount === 1;
}

export interface FailureRecord extends EventKey {
  jobId: string;
  error: string;
  stack: string | null;
  startedAt: Date | null;
}

/**
 * Records a failed attempt; with `isFinal` the event is a dead letter at once. False when the event is no longer
 * this job's: a finished event keeps its status, whatever a late attempt reports. False, too, when the same attempt was
 * recorded before, by a COMMIT whose answer was lost.
 */
export async function recordFailure(
  tx: Queryable,
  failure: FailureRecord,
  isFinal: boolean,
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `
      WITH failed AS (
        UPDATE webhook_events SET attempts = attempts + 1, last_error = $4,
          status = CASE WHEN $7 THEN 'FAILED' ELSE status END
        WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}
          AND NOT EXISTS (SELECT FROM failed_attempts f
            WHERE f.source = $1 AND f.event_id = $2 AND f.job_id = $3 AND f.started_at = $6)
        RETURNING source, event_id, job_id
      )
      INSERT INTO failed_attempts (source, event_id, job_id, error, stack, started_at)
      SELECT source, event_id, job_id, $4, $5, $6 FROM failed`,
    values: [
      failure.source,
      failure.eventId,
      failure.jobId,
      failure.error,
      failure.stack,
      failure.startedAt,
      isFinal,
    ],
  });
  return rowCount === 1;
}

export interface DeadEvent extends EventKey {
  jobId: string;
  /** Attempts that pg-boss counted for the job. */
  attempts: number;
  /** Used where the last attempt crashed and so recorded no failure. */
  fallbackError: string;
}

/**
 * Marks the event of a dead-lettered job FAILED, also where the last attempt crashed and no JavaScript of ours ran.
 * Attempts without a record are recorded with pg-boss's words.
 */
export async function markFailed(tx: Queryable, dead: DeadEvent): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `
      WITH recorded AS (
        SELECT count(*)::int AS count FROM failed_attempts WHERE source = $1 AND event_id = $2 AND job_id = $3
      ), failed AS (
        UPDATE webhook_events SET status = 'FAILED',
          attempts = attempts + greatest(0, $4 - (SELECT count FROM recorded)),
          last_error = CASE WHEN (SELECT count FROM recorded) < $4 OR last_error IS NULL THEN $5 ELSE last_error END
        WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}
        RETURNING source, event_id, job_id
      ), lost AS (
        INSERT INTO failed_attempts (source, event_id, job_id, error)
        SELECT source, event_id, job_id, $5
        FROM failed, generate_series(1, $4 - (SELECT count FROM recorded))
      )
      SELECT 1 FROM failed`,
    values: [dead.source, dead.eventId, dead.jobId, dead.attempts, dead.fallbackError],
  });
  return rowCount === 1;
}
