// webhook_events and its side tables: the row's type and every statement on it.

import { defaultSameBodyHours } from '../config.ts';
import {
  boolArray,
  byteaArray,
  int4Array,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../database/binary-array.ts';
import type { Queryable, Transaction } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';

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
  /** The signature does not cover the id: the same body under another id is a suspected replay. */
  uniqueBody: boolean;
  /** With `uniqueBody`: the same body under another topic is another event for `SAME_BODY_HOURS`. */
  topicsShareBody: boolean;
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

/** The columns that a delivery fills, in the order of `newEventValues`. */
export const newEventColumns = `source, provider, event_id, topic, payload, payload_error, occurred_at, headers, raw_body,
  body_sha256`;
/** Placeholders of `newEventValues`, for unnest(). */
export const newEventPlaceholders = `$1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[],
  $7::timestamptz[], $8::jsonb[], $9::bytea[], $10::bytea[]`;

export function newEventValues(events: readonly NewEvent[]): Buffer[] {
  return [
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
  ];
}

/** More topics than any provider sends one body under: beyond it, another topic is a repeat as well. */
const maxTopicsOfOneBody = 100;

/**
 * Inserts new events and wakes the workers, in the receiver's transaction. With `uniqueBody` an event is new if its
 * body is; or if its topic is, and the first event with that body came less than `sameBodyHours` ago.
 * @returns the job ids of the rows that were inserted; the others are duplicates or repeated bodies
 */
export async function insertEvents(
  tx: Queryable,
  events: readonly NewEvent[],
  sameBodyHours: number = defaultSameBodyHours,
): Promise<Set<string>> {
  const { rows } = await tx.query<{ job_id: string }>({
    name: 'insert_events',
    text: `
      WITH inserted AS (
        INSERT INTO webhook_events (${newEventColumns}, unique_body, job_id)
        SELECT ${newEventColumns}, unique_body, job_id
        FROM unnest(${newEventPlaceholders}, $11::boolean[], $12::uuid[], $14::boolean[])
          AS event (${newEventColumns}, unique_body, job_id, topics_share_body)
        -- ON CONFLICT waits for whoever is changing the row that is there, be it an operator who went to lunch.
        -- A plain read does not, so that it is left to decide between transactions of this moment.
        WHERE (SELECT true FROM webhook_events e WHERE e.source = event.source AND e.event_id = event.event_id) IS NULL
          -- A delivery without its topic's header is no new topic: anybody can leave the header out.
          AND (NOT event.unique_body OR (
            SELECT bool_or(e.topic = event.topic OR event.topic = 'unknown' OR NOT event.topics_share_body
                OR e.received_at < now() - make_interval(hours => $13)) OR count(*) >= ${maxTopicsOfOneBody}
            FROM webhook_events e
            WHERE e.unique_body AND e.source = event.source AND e.body_sha256 = event.body_sha256) IS NOT TRUE)
          -- A purge moves rows to the tombstones in one commit: one snapshot finds an event in either.
          AND (SELECT true FROM tombstones t WHERE t.source = event.source AND t.event_id = event.event_id) IS NULL
          AND (NOT event.unique_body OR (
            SELECT bool_or(t.topic IS NULL OR t.topic = event.topic OR event.topic = 'unknown'
                OR NOT event.topics_share_body
                OR t.received_at < now() - make_interval(hours => $13))
            FROM tombstones t
            WHERE t.source = event.source AND t.body_sha256 = event.body_sha256) IS NOT TRUE)
        ON CONFLICT DO NOTHING
        RETURNING job_id
      ), woken AS (
        SELECT pg_notify('postbell', 'jobs') WHERE EXISTS (SELECT FROM inserted)
      )
      SELECT job_id FROM inserted LEFT JOIN woken ON true`,
    values: [
      ...newEventValues(events),
      boolArray(events.map((event) => event.uniqueBody)),
      uuidArray(events.map((event) => event.jobId)),
      sameBodyHours,
      boolArray(events.map((event) => event.topicsShareBody)),
    ],
  });
  return new Set(rows.map((row) => row.job_id));
}

/** Further deliveries of an event that is stored. */
export interface DuplicateCount extends EventKey {
  bodySha256: Buffer;
  count: number;
}

/**
 * Counts duplicates on their rows. A row that somebody holds locked is left out instead of waited for:
 * an operator's open transaction must not keep a provider waiting.
 * @returns `uncounted`: could not be counted now (what was deleted meanwhile is not among them); `conflicting`: of the
 *   others, those with another body than the stored one
 */
export async function countDuplicates<T extends DuplicateCount>(
  tx: Queryable,
  duplicates: readonly T[],
): Promise<{ uncounted: T[]; conflicting: T[] }> {
  if (duplicates.length === 0) return { uncounted: [], conflicting: [] };
  const { rows } = await tx.query<{ position: number; isCounted: boolean }>({
    name: 'count_duplicates',
    text: `
      WITH target AS (
        SELECT e.ctid, d.count, d.position, e.body_sha256 <> d.body_sha256 AS is_conflict
        FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[])
          WITH ORDINALITY AS d (source, event_id, body_sha256, count, position)
        JOIN webhook_events e ON e.source = d.source AND e.event_id = d.event_id
      ), free AS (
        SELECT e.ctid FROM webhook_events e WHERE e.ctid = ANY (ARRAY(SELECT ctid FROM target))
        FOR NO KEY UPDATE SKIP LOCKED
      ), counted AS (
        UPDATE webhook_events e SET duplicates = e.duplicates + t.count
        FROM (SELECT ctid, sum(count)::int AS count FROM target GROUP BY ctid) t, free f
        WHERE e.ctid = f.ctid AND t.ctid = f.ctid
        RETURNING t.ctid AS ctid
      )
      SELECT t.position::int AS position, c.ctid IS NOT NULL AS "isCounted"
      FROM target t LEFT JOIN counted c ON c.ctid = t.ctid
      WHERE c.ctid IS NULL OR t.is_conflict`,
    values: [
      textArray(duplicates.map((duplicate) => duplicate.source)),
      textArray(duplicates.map((duplicate) => duplicate.eventId)),
      byteaArray(duplicates.map((duplicate) => duplicate.bodySha256)),
      int4Array(duplicates.map((duplicate) => duplicate.count)),
    ],
  });
  const those = (isCounted: boolean) =>
    rows.filter((row) => row.isCounted === isCounted).map((row) => duplicates[row.position - 1]!);
  return { uncounted: those(false), conflicting: those(true) };
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
