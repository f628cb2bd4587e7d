// Locks on events' rows, taken without waiting: an operator's open transaction may hold a row for hours.
import { textArray, uuidArray } from '../database/binary-array.ts';
import { AtCommitError, type Queryable } from '../database/database.ts';
import { tryLock } from '../database/try-lock.ts';
import { sqlState } from '../errors.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';

/** How long the last statement of an attempt waits for its event's row; then the attempt is rolled back, uncharged. */
export const rowLockTimeout = '1s';

/** Our own statement at COMMIT gave up waiting for the row. A lock that the handler met is the handler's failure. */
export function isRowLocked(error: unknown): boolean {
  return error instanceof AtCommitError && sqlState(error.cause) === '55P03';
}

/** An event and the job that its row has to bear. */
export interface Claim extends EventKey {
  jobId: string;
}

/** Parameters for `unnest($1::text[], $2::text[], $3::uuid[])`: source, event id, job id. */
export function claimValues(claims: readonly Claim[]): Buffer[] {
  return [
    textArray(claims.map(({ source }) => source)),
    textArray(claims.map(({ eventId }) => eventId)),
    uuidArray(claims.map(({ jobId }) => jobId)),
  ];
}

const selectClaimable = `
  SELECT e.source, e.event_id AS "eventId"
  FROM unnest($1::text[], $2::text[], $3::uuid[]) AS c (source, event_id, job_id)
  JOIN {inbox}.webhook_events e ON e.source = c.source AND e.event_id = c.event_id
  WHERE e.job_id = c.job_id AND ${isStillPending}`;

const claimText = `${selectClaimable} FOR NO KEY UPDATE OF e SKIP LOCKED`;

/** Locks the rows that are PENDING, bear their job, and are not locked by other sessions. @returns their keys */
export async function claimRows(tx: Queryable, claims: readonly Claim[]): Promise<EventKey[]> {
  const { rows } = await tx.query<EventKey & Record<string, unknown>>({
    name: 'claim_rows',
    text: claimText,
    values: claimValues(claims),
  });
  return rows;
}

/**
 * Of several processes one does this work at a time. Never waits; held until the end of the transaction.
 * @returns false: another process does it
 */
export function takeTurn(tx: Queryable, work: 'alerts' | 'counts' | 'purge'): Promise<boolean> {
  return tryLock(tx, work);
}

/** Reads the keys of the rows that are PENDING and bear their job, locked or not. */
export async function readClaimable(database: Queryable, claims: readonly Claim[]): Promise<EventKey[]> {
  const { rows } = await database.query<EventKey & Record<string, unknown>>({
    name: 'read_claimable',
    text: selectClaimable,
    values: claimValues(claims),
  });
  return rows;
}
