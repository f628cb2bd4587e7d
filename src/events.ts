// webhook_events and its side tables: the row's type and every statement on it.
import {
  boolArray,
  byteaArray,
  int4Array,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from './binary-array.ts';
import { AtCommitError, type Queryable, type Transaction } from './database/database.ts';
import { sqlState } from './errors.ts';
import type { EventKey } from './queue.ts';

export type EventStatus = 'PENDING' | 'PROCESSED' | 'FAILED' | 'IGNORED';

/** A verified event on its way in. */
export interface NewEvent extends EventKey {
  provider: string;
  topic: string;
  occurredAt: Date | null;
  /** JSON text that jsonb accepts; null with `payloadError` and `rawBody`. */
  payloadText: string | null;
  payloadError: string | null;
  rawBody: Buffer | null;
  bodySha256: Buffer;
  uniqueBody: boolean;
  headers: Record<string, string>;
  jobId: string;
}

/** What a handler is shown of a row. */
export interface StoredEvent extends EventKey {
  provider: string;
  topic: string;
  status: EventStatus;
  receivedAt: Date;
  occurredAt: Date | null;
  payload: unknown;
  payloadError: string | null;
  rawBody: Buffer | null;
  headers: Record<string, string>;
  jobId: string | null;
  attempts: number;
  deferrals: number;
  duplicates: number;
}

const storedColumns = `source, event_id AS "eventId", provider, topic, status, received_at AS "receivedAt",
  occurred_at AS "occurredAt", payload, payload_error AS "payloadError", raw_body AS "rawBody", headers,
  job_id AS "jobId", attempts, deferrals, duplicates`;

/**
 * For statements that know their event's key. With a plain `status = 'PENDING'` Postgres takes the index of the backlog
 * instead of the key's wherever the backlog was empty when its statistics were made, and reads all of it for each event.
 */
export const isStillPending = `CASE status WHEN 'PENDING' THEN true END`;

/**
 * Inserts what is new and wakes the workers, in the receiver's transaction.
 * @returns the job ids of the rows that were new; the others are duplicates
 */
export async function insertEvents(tx: Queryable, events: readonly NewEvent[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ job_id: string }>({
    name: 'insert_events',
    text: `
      WITH inserted AS (
        INSERT INTO webhook_events (source, provider, event_id, topic, payload, payload_error, occurred_at, headers,
          raw_body, body_sha256, unique_body, job_id)
        SELECT source, provider, event_id, topic, payload, payload_error, occurred_at, headers,
          raw_body, body_sha256, unique_body, job_id
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::timestamptz[],
          $8::jsonb[], $9::bytea[], $10::bytea[], $11::boolean[], $12::uuid[]) AS event (source, provider, event_id,
          topic, payload, payload_error, occurred_at, headers, raw_body, body_sha256, unique_body, job_id)
        -- ON CONFLICT waits for whoever is changing the row that is there, be it an operator who went to lunch.
        -- A plain read does not, so that it is left to decide between transactions of this moment.
        WHERE (SELECT true FROM webhook_events e WHERE e.source = event.source AND e.event_id = event.event_id) IS NULL
          AND (NOT event.unique_body OR (SELECT true FROM webhook_events e WHERE e.unique_body
            AND e.source = event.source AND e.body_sha256 = event.body_sha256) IS NULL)
          -- A purge moves rows to the tombstones in one commit: one snapshot finds an event in either.
          AND (SELECT true FROM tombstones t WHERE t.source = event.source AND t.event_id = event.event_id) IS NULL
          AND (NOT event.unique_body OR (SELECT true FROM tombstones t
            WHERE t.source = event.source AND t.body_sha256 = event.body_sha256) IS NULL)
        ON CONFLICT DO NOTHING
        RETURNING job_id
      ), woken AS (
        SELECT pg_notify('postbell', 'jobs') WHERE EXISTS (SELECT FROM inserted)
      )
      SELECT job_id FROM inserted LEFT JOIN woken ON true`,
    values: [
      textArray(events.map((event) => event.source)),
      textArray(events.map((event) => event.provider)),
      textArray(events.map((event) => event.eventId)),
      textArray(events.map((event) => event.topic)),
      jsonbArray(events.map((event) => event.payloadText)),
      textArray(events.map((event) => event.payloadError)),
      timestamptzArray(events.map((event) => event.occurredAt)),
      jsonbArray(events.map((event) => JSON.stringify(event.headers))),
      byteaArray(events.map((event) => event.rawBody)),
      byteaArray(events.map((event) => event.bodySha256)),
      boolArray(events.map((event) => event.uniqueBody)),
      uuidArray(events.map((event) => event.jobId)),
    ],
  });
  return new Set(rows.map((row) => row.job_id));
}

/** Further deliveries of an event that is stored. */
export interface DuplicateCount extends EventKey {
  bodySha256: Buffer;
  uniqueBody: boolean;
  count: number;
}

/** How a duplicate differs from what is stored: other bytes under its id, or its bytes under another id. */
export type DuplicateOddity = 'body_conflict' | 'suspected_replay';

/**
 * Counts duplicates on their rows. A row that somebody holds locked is left out instead of waited for:
 * an operator's open transaction must not keep a provider waiting.
 * @returns `uncounted`: could not be counted now (what was deleted meanwhile is not among them); `odd`: of the others
 */
export async function countDuplicates<T extends DuplicateCount>(
  tx: Queryable,
  duplicates: readonly T[],
): Promise<{ uncounted: T[]; odd: { duplicate: T; oddity: DuplicateOddity }[] }> {
  if (duplicates.length === 0) return { uncounted: [], odd: [] };
  const { rows } = await tx.query<{ position: number; isCounted: boolean; oddity: DuplicateOddity }>({
    name: 'count_duplicates',
    text: `
      WITH delivery AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::boolean[], $5::int[])
          WITH ORDINALITY AS d (source, event_id, body_sha256, unique_body, count, position)
      ), target AS (
        SELECT e.ctid, d.count, d.position,
          CASE WHEN e.body_sha256 <> d.body_sha256 THEN 'body_conflict' END AS oddity
        FROM delivery d JOIN webhook_events e ON e.source = d.source AND e.event_id = d.event_id
        UNION ALL
        SELECT e.ctid, d.count, d.position, 'suspected_replay' FROM delivery d JOIN webhook_events e
          ON d.unique_body AND e.unique_body AND e.source = d.source AND e.body_sha256 = d.body_sha256
          AND e.event_id <> d.event_id
      ), free AS (
        SELECT e.ctid FROM webhook_events e WHERE e.ctid = ANY (ARRAY(SELECT ctid FROM target))
        FOR NO KEY UPDATE SKIP LOCKED
      ), counted AS (
        UPDATE webhook_events e SET duplicates = e.duplicates + t.count
        FROM (SELECT ctid, sum(count)::int AS count FROM target GROUP BY ctid) t, free f
        WHERE e.ctid = f.ctid AND t.ctid = f.ctid
        RETURNING t.ctid AS ctid
      )
      SELECT t.position::int AS position, count(c.ctid) > 0 AS "isCounted", max(t.oddity) AS oddity
      FROM target t LEFT JOIN counted c ON c.ctid = t.ctid
      GROUP BY t.position HAVING count(c.ctid) = 0 OR max(t.oddity) IS NOT NULL`,
    values: [
      textArray(duplicates.map((duplicate) => duplicate.source)),
      textArray(duplicates.map((duplicate) => duplicate.eventId)),
      byteaArray(duplicates.map((duplicate) => duplicate.bodySha256)),
      boolArray(duplicates.map((duplicate) => duplicate.uniqueBody)),
      int4Array(duplicates.map((duplicate) => duplicate.count)),
    ],
  });
  const found = rows.map((row) => ({ ...row, duplicate: duplicates[row.position - 1]! }));
  return {
    uncounted: found.filter(({ isCounted }) => !isCounted).map(({ duplicate }) => duplicate),
    odd: found.filter(({ isCounted }) => isCounted),
  };
}

/** Reads the rows that a batch of jobs is about, whatever their status. No lock. */
export async function readEvents(database: Queryable, keys: readonly EventKey[]): Promise<StoredEvent[]> {
  const { rows } = await database.query<StoredEvent & Record<string, unknown>>({
    name: 'read_events',
    text: `SELECT ${storedColumns} FROM webhook_events
      JOIN unnest($1::text[], $2::text[]) AS key (s, e) ON source = s AND event_id = e`,
    values: [textArray(keys.map((key) => key.source)), textArray(keys.map((key) => key.eventId))],
  });
  return rows;
}

/**
 * Serialises the events of one entity until the transaction ends, and reads when the newest event applied to it
 * occurred (null: none was). Waits up to `lock_timeout` (SQLSTATE 55P03).
 */
export async function lockEntity(tx: Queryable, source: string, entity: string): Promise<Date | null> {
  const locked = tx.query({
    name: 'lock_entity',
    text: `SELECT pg_advisory_xact_lock(hashtextextended('postbell entity/' || $1 || '/' || $2, 0))`,
    values: [source, entity],
  });
  // A statement of its own: its snapshot has to be taken after the lock was got.
  const clock = tx.query<{ at: Date }>({
    name: 'read_entity_clock',
    text: 'SELECT last_occurred_at AS at FROM entity_clock WHERE source = $1 AND entity = $2',
    values: [source, entity],
  });
  const [, { rows }] = await Promise.all([locked, clock]);
  return rows[0]?.at ?? null;
}

/** With COMMIT: moves the entity's clock forward, never back. */
export function advanceEntityClock(tx: Transaction, key: EventKey, entity: string, occurredAt: Date): void {
  tx.atCommit({
    name: 'advance_entity_clock',
    text: `
      INSERT INTO entity_clock AS clock (source, entity, last_occurred_at, last_event_id) VALUES ($1, $2, $3, $4)
      ON CONFLICT (source, entity) DO UPDATE
        SET last_occurred_at = excluded.last_occurred_at, last_event_id = excluded.last_event_id
        WHERE clock.last_occurred_at <= excluded.last_occurred_at`,
    values: [key.source, entity, occurredAt, key.eventId],
  });
}

/**
 * With the handler's COMMIT: its effects and PROCESSED together, or neither. This is the claim's guard: an event that
 * is no longer this job's (settled by another attempt, replayed, taken by an operator) fails the transaction with
 * SQLSTATE 22012, see `isClaimLost`. The row is locked only here, so that neither a duplicate's count nor an
 * operator's UPDATE has to wait for a handler.
 */
export function markProcessed(tx: Transaction, key: EventKey, jobId: string, entity: string | null): void {
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

/** `markProcessed` for many: all of them, or the transaction fails. */
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

/** Settles an event that nobody has to run: no handler, or stale. */
export async function markIgnored(
  tx: Queryable,
  key: EventKey,
  jobId: string,
  reason: string,
  entity: string | null = null,
): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'mark_ignored',
    text: `UPDATE webhook_events SET status = 'IGNORED', ignored_reason = $4, entity = coalesce($5, entity)
      WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}`,
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
 * this job's: a settled event keeps its status, whatever a late attempt says. False, too, when the same attempt was
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
  /** Used where the last attempt left no failure of its own behind: it crashed. */
  fallbackError: string;
}

/**
 * The dead-letter queue's verdict: FAILED, also where the last attempt crashed and none of our JavaScript ran.
 * Attempts that left no record are recorded with pg-boss's words.
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
