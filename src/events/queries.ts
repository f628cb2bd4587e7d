// Operators' queries: lists of events, one event in detail; and giving up an event.
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
