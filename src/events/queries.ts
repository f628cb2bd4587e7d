// Operators' queries: lists of events, one event in detail, replays, rejected requests.
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import { startOfWaitingJob } from '../queue/start-time.ts';
import { type EventStatus, summaryColumns } from './event.ts';
import { type EventFilter, filterConditions, sourcesIn } from './filter.ts';
import { pausedSinceOf } from './pauses.ts';

export interface EventSummary extends EventKey {
  provider: string;
  topic: string;
  status: EventStatus;
  receivedAt: Date;
  /** How it came in. */
  receivedBy: 'webhook' | 'pull' | 'redelivery' | 'quarantine';
  processedAt: Date | null;
  occurredAt: Date | null;
  entity: string | null;
  attempts: number;
  deferrals: number;
  duplicates: number;
  lastError: string | null;
  ignoredReason: string | null;
  /** When its body was erased; null: it was not. */
  erasedAt: Date | null;
  payloadError: string | null;
  jobId: string | null;
  /**
   * From when on a worker may take the event, in the past where one may already. null: the event is not PENDING, a
   * worker has it, the reconciler is about to enqueue it, or it waits for the end of a pause.
   */
  nextTryAt: Date | null;
  /** Since when there is a pause that the event waits for; null: it does not wait for one. */
  pausedSince: Date | null;
}

export interface EventDetail extends EventSummary {
  headers: Record<string, string>;
  /** JSON text, because parsing would round its large numbers. */
  payloadText: string | null;
  rawBody: Buffer | null;
  /** null: erased. */
  bodySha256: string | null;
  failures: FailedAttempt[];
}

export interface FailedAttempt {
  error: string;
  stack: string | null;
  startedAt: Date | null;
  failedAt: Date;
  jobId: string | null;
}

/** Of `webhook_events e`: the fields of `EventSummary`. The job is looked up for PENDING events only. */
const summary = `${summaryColumns}, CASE status WHEN 'PENDING' THEN ${startOfWaitingJob('e.job_id')} END AS "nextTryAt",
  CASE status WHEN 'PENDING' THEN ${pausedSinceOf('e.job_id')} END AS "pausedSince"`;

/** An event's place in a list that is ordered by arrival. */
export interface ArrivalCursor extends EventKey {
  /** As Postgres writes it: with microseconds, which a Date would lose. */
  receivedAt: string;
}

/** Newest first. @param after the last event of the previous page */
export async function listEvents(
  database: Queryable,
  filter: EventFilter,
  limit: number,
  after?: ArrivalCursor,
): Promise<EventSummary[]> {
  const { conditions, values } = filterConditions(filter, 5);
  const { rows } = await database.query<EventSummary & Record<string, unknown>>({
    text: `SELECT ${summary} FROM {inbox}.webhook_events e WHERE ${conditions}
      AND ($2::timestamptz IS NULL
        OR (received_at <= $2 AND (received_at < $2 OR (source, event_id) > ($3::text, $4::text))))
      ORDER BY received_at DESC, source, event_id LIMIT $1`,
    values: [limit, after?.receivedAt ?? null, after?.source ?? '', after?.eventId ?? '', ...values],
  });
  return rows;
}

/** The time is ISO, in UTC. @returns undefined if the event is gone */
export async function readArrivalCursor(
  database: Queryable,
  { source, eventId }: EventKey,
): Promise<ArrivalCursor | undefined> {
  const { rows } = await database.query<{ receivedAt: string }>({
    text: `SELECT to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "receivedAt"
      FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2`,
    values: [source, eventId],
  });
  return rows[0] && { source, eventId, receivedAt: rows[0].receivedAt };
}

/** More than a body can have. */
const wholeBody = 2 ** 31 - 1;

/**
 * Every event with that id, one per source, with its failed attempts oldest first.
 * @param maxBodyLength reads no more characters of the payload, and bytes of the raw body
 */
export async function findEvents(
  database: Queryable,
  eventId: string,
  source: string | undefined,
  maxBodyLength: number = wholeBody,
): Promise<EventDetail[]> {
  type Found = Omit<EventDetail, 'failures'> & { failures: Record<keyof FailedAttempt, string | null>[] };
  const { rows } = await database.query<Found & Record<string, unknown>>({
    text: `SELECT ${summary}, headers, left(payload::text, $3) AS "payloadText",
        substring(raw_body FROM 1 FOR $3) AS "rawBody", encode(body_sha256, 'hex') AS "bodySha256",
        (SELECT coalesce(json_agg(json_build_object('error', f.error, 'stack', f.stack, 'startedAt', f.started_at,
           'failedAt', f.failed_at, 'jobId', f.job_id) ORDER BY f.id), '[]')
         FROM {inbox}.failed_attempts f WHERE f.source = e.source AND f.event_id = e.event_id) AS failures
      FROM {inbox}.webhook_events e
      WHERE event_id = $1 AND source = ANY (coalesce($2::text[], ${sourcesIn('webhook_events')})) ORDER BY source`,
    values: [eventId, source === undefined ? null : [source], maxBodyLength],
  });
  return rows.map((row) => ({
    ...row,
    // Times inside JSON come as text.
    failures: row.failures.map((failure) => ({
      error: failure.error ?? '',
      stack: failure.stack,
      startedAt: failure.startedAt === null ? null : new Date(failure.startedAt),
      failedAt: new Date(failure.failedAt ?? Number.NaN),
      jobId: failure.jobId,
    })),
  }));
}

/**
 * The body as JSON text: JSON.parse would round large numbers. During a handler, the rollback gives the table's lock back:
 * a handler may make calls to the outside afterwards.
 * @throws Error where jsonb could not hold the body
 */
export async function readPayloadText(tx: Queryable, { source, eventId }: EventKey): Promise<string> {
  const [, { rows }] = await Promise.all([
    tx.query('SAVEPOINT postbell_read'),
    tx.query('SELECT payload::text AS text FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2', [
      source,
      eventId,
    ]),
    tx.query('ROLLBACK TO SAVEPOINT postbell_read'),
  ]);
  const text = rows[0]?.text;
  if (typeof text !== 'string') throw new Error('the event has no payload in webhook_events');
  return text;
}

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

/** Gives up an event that is PENDING or FAILED. @returns false if it is not (any more) */
export async function ignoreEvent(
  database: Queryable,
  { source, eventId }: EventKey,
  reason: string,
): Promise<boolean> {
  const { rows } = await database.query({
    text: `UPDATE {inbox}.webhook_events SET status = 'IGNORED', ignored_reason = $3
      WHERE source = $1 AND event_id = $2 AND status IN ('PENDING', 'FAILED') RETURNING 1`,
    values: [source, eventId, reason],
  });
  return rows.length > 0;
}

export interface RejectedRequest {
  source: string;
  reason: string;
  detail: string | null;
  requestId: string;
  receivedAt: Date;
  bodyBytes: number;
  /** Number of rejected requests of this source since its previous row, which were not written. */
  skipped: number;
}

const keptRejections = 200;

/** Writes a rejection and keeps the newest 200 of its source. */
export async function recordRejection(database: Queryable, rejected: RejectedRequest): Promise<void> {
  await database.query({
    text: `WITH added AS (
        INSERT INTO {inbox}.rejected_requests (source, reason, detail, request_id, received_at, body_bytes, skipped)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
      )
      DELETE FROM {inbox}.rejected_requests WHERE source = $1 AND id <= (
        SELECT id FROM {inbox}.rejected_requests WHERE source = $1 -- without the added row
        ORDER BY id DESC OFFSET ${keptRejections} - 1 LIMIT 1)`,
    values: [
      rejected.source,
      rejected.reason,
      rejected.detail,
      rejected.requestId,
      rejected.receivedAt,
      rejected.bodyBytes,
      rejected.skipped,
    ],
  });
}

/** Newest first. @param limit of each source */
export async function listRejections(
  database: Queryable,
  source: string | undefined,
  limit: number,
): Promise<RejectedRequest[]> {
  const { rows } = await database.query<RejectedRequest & Record<string, unknown>>({
    text: `SELECT source, reason, detail, request_id AS "requestId", received_at AS "receivedAt",
        body_bytes AS "bodyBytes", skipped
      FROM (
        SELECT *, row_number() OVER (PARTITION BY source ORDER BY id DESC) AS place FROM {inbox}.rejected_requests
        WHERE $1::text IS NULL OR source = $1
      ) AS placed
      WHERE place <= $2 ORDER BY id DESC`,
    values: [source ?? null, limit],
  });
  return rows;
}

const maxStoredSources = 1_000;

/** Postgres does an index look-up per name, for any number of events. */
const distinctSources = (table: string) => `
  SELECT source FROM (
    WITH RECURSIVE stored AS (
      (SELECT source::text FROM {inbox}.${table} ORDER BY source LIMIT 1)
      UNION ALL
      SELECT (SELECT t.source::text FROM {inbox}.${table} t WHERE t.source > s.source ORDER BY t.source LIMIT 1)
      FROM stored s WHERE s.source IS NOT NULL
    ) SELECT source FROM stored WHERE source IS NOT NULL LIMIT ${maxStoredSources}) AS of_one_table`;

/** The sources of stored events and of tombstones, at most 1,000 of each. */
export async function listStoredSources(database: Queryable): Promise<string[]> {
  const { rows } = await database.query<{ source: string }>({
    text: `${distinctSources('webhook_events')} UNION ${distinctSources('tombstones')}`,
    timeoutMs: 5_000,
  });
  return rows.map(({ source }) => source);
}
