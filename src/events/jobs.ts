// Which job an event has, and how an event leaves a job without being PROCESSED or IGNORED.
import { int4Array, textArray, timestamptzArray, uuidArray } from '../database/binary-array.ts';
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';

/**
 * In `failed_attempts`, the failure of an event whose worker process ended while nothing else ran in the process. The
 * event's `last_error` adds how often, e.g. `3 times`.
 */
export const attemptLost = 'AttemptLost: its worker process ended under it';

/** A failed attempt, as `failed_attempts` stores it. */
export interface FailureRecord {
  /** Name and message, at most 2,000 characters. */
  error: string;
  stack: string | null;
  startedAt: Date | null;
}

/** The failure of an event that was lost alone with its worker: nobody saw how the attempt ended. */
export const lossRecord: FailureRecord = { error: attemptLost, stack: null, startedAt: null };

/** SQL: ` once` or ` 3 times`, of the records so far and those that departure `f` adds; older versions worded them otherwise. */
const timesLost = `(SELECT CASE n WHEN 1 THEN ' once' ELSE ' ' || n || ' times' END FROM (
            SELECT count(*) + f.failures AS n FROM {inbox}.failed_attempts a
            WHERE a.source = e.source AND a.event_id = e.event_id AND a.error LIKE 'AttemptLost: %') AS losses)`;

/** An event on its way out of a job. */
export interface Departure extends EventKey {
  fromJobId: string;
  /** The job that carries the event from now on; null: none, the event is FAILED with `failure`. */
  toJobId: string | null;
  /** Counts as deferred by `Later`. */
  isDeferral?: boolean;
  /** Counts as a failure. */
  failure?: FailureRecord;
  /** With `failure`: the number of failures to count. Each failure gets its own record. Default 1. */
  failures?: number;
}

/** An event that left its job, as its row is now. */
export interface DepartedEvent extends EventKey {
  failures: number;
  attempts: number;
  lastError: string | null;
}

/**
 * Moves events out of their jobs, each only while its row is PENDING and bears the job. Never waits: a row that
 * somebody holds locked stays. To be run in a durable transaction of its own, which inserts the new jobs as well.
 * @returns the events that left
 */
export async function departFromJobs(
  tx: Queryable,
  departures: readonly Departure[],
): Promise<DepartedEvent[]> {
  const { rows } = await tx.query<DepartedEvent & Record<string, unknown>>({
    name: 'depart_from_jobs',
    text: `
      WITH departure AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::text[], $7::text[],
          $8::timestamptz[], $9::int[])
          AS d (source, event_id, from_job, to_job, deferrals, error, stack, started_at, failures)
      ), free AS (
        SELECT d.* FROM departure d JOIN {inbox}.webhook_events e ON e.source = d.source AND e.event_id = d.event_id
        WHERE e.job_id = d.from_job AND ${isStillPending}
        FOR NO KEY UPDATE OF e SKIP LOCKED
      ), departed AS (
        UPDATE {inbox}.webhook_events e SET
          job_id = coalesce(f.to_job, e.job_id),
          status = CASE WHEN f.to_job IS NULL THEN 'FAILED' ELSE e.status END,
          deferrals = e.deferrals + f.deferrals,
          attempts = e.attempts + f.failures,
          failures = e.failures + f.failures,
          last_error = CASE f.error WHEN '${attemptLost}' THEN f.error || ${timesLost} ELSE coalesce(f.error, e.last_error) END
        FROM free f WHERE e.source = f.source AND e.event_id = f.event_id AND e.job_id = f.from_job
        RETURNING e.source, e.event_id, e.failures, e.attempts, e.last_error, f.from_job, f.error, f.stack, f.started_at, f.failures AS records
      ), recorded AS (
        INSERT INTO {inbox}.failed_attempts (source, event_id, job_id, error, stack, started_at)
        SELECT source, event_id, from_job, error, stack, started_at FROM departed, generate_series(1, records)
      )
      SELECT source, event_id AS "eventId", failures, attempts, last_error AS "lastError" FROM departed`,
    values: [
      textArray(departures.map(({ source }) => source)),
      textArray(departures.map(({ eventId }) => eventId)),
      uuidArray(departures.map(({ fromJobId }) => fromJobId)),
      uuidArray(departures.map(({ toJobId }) => toJobId)),
      int4Array(departures.map(({ isDeferral }) => (isDeferral ? 1 : 0))),
      textArray(departures.map(({ failure }) => failure?.error ?? null)),
      textArray(departures.map(({ failure }) => failure?.stack ?? null)),
      timestamptzArray(departures.map(({ failure }) => failure?.startedAt ?? null)),
      int4Array(departures.map(({ failure, failures = 1 }) => (failure ? failures : 0))),
    ],
  });
  return rows;
}

/** A PENDING event without a job. */
export interface WaitingEvent extends EventKey {
  /** Its last attempt ended with its worker process: the event must not run beside others. */
  wasLostAlone: boolean;
}

/** PENDING events without a job, locked for this transaction; rows that others hold locked are skipped. */
export async function lockEventsWithoutJob(tx: Queryable, limit: number): Promise<WaitingEvent[]> {
  const { rows } = await tx.query<WaitingEvent & Record<string, unknown>>({
    // Only a loss is recorded without its start: nothing was left that knew it.
    text: `SELECT source, event_id AS "eventId", last_error IS NOT NULL AND coalesce((
        SELECT a.started_at IS NULL FROM {inbox}.failed_attempts a
        WHERE a.source = e.source AND a.event_id = e.event_id ORDER BY a.id DESC LIMIT 1), false) AS "wasLostAlone"
      FROM {inbox}.webhook_events e
      WHERE status = 'PENDING' AND job_id IS NULL
      ORDER BY received_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
    values: [limit],
  });
  return rows;
}

/** Gives events their jobs, and asks for their hours of arrival to be counted again: an event that was replayed leaves its status. */
export async function assignJobs(
  tx: Queryable,
  assigned: readonly (EventKey & { jobId: string })[],
): Promise<void> {
  await tx.query({
    text: `
      WITH assigned AS (
        UPDATE {inbox}.webhook_events e SET job_id = j.job_id
        FROM unnest($1::text[], $2::text[], $3::uuid[]) AS j (source, event_id, job_id)
        WHERE e.source = j.source AND e.event_id = j.event_id
        RETURNING e.received_at
      )
      INSERT INTO {inbox}.recounts (hour) SELECT DISTINCT date_trunc('hour', received_at, 'UTC') FROM assigned`,
    values: [
      assigned.map(({ source }) => source),
      assigned.map(({ eventId }) => eventId),
      assigned.map(({ jobId }) => jobId),
    ],
  });
}

export interface EnqueuedEvent extends EventKey {
  jobId: string;
  /** As text with microseconds. */
  receivedAt: string;
}

/** A page of PENDING events that have a job, oldest first, to be compared with the jobs that exist. */
export async function pageOfEnqueued(
  database: Queryable,
  after: Omit<EnqueuedEvent, 'jobId'> | undefined,
  limit: number,
): Promise<EnqueuedEvent[]> {
  const { rows } = await database.query<EnqueuedEvent & Record<string, unknown>>({
    // As text: a JavaScript Date would cut the microseconds off and the next page would start too early.
    text: `SELECT source, event_id AS "eventId", job_id AS "jobId", received_at::text AS "receivedAt" FROM {inbox}.webhook_events
      WHERE status = 'PENDING' AND job_id IS NOT NULL AND received_at < now() - interval '5 seconds'
        AND ($1::timestamptz IS NULL OR (received_at, source, event_id) > ($1, $2, $3))
      ORDER BY received_at, source, event_id LIMIT $4`,
    values: [after?.receivedAt ?? null, after?.source ?? '', after?.eventId ?? '', limit],
  });
  return rows;
}

/** Takes the job from events whose job vanished, so that they are enqueued again. Locked rows are left for the next time. */
export async function clearJobs(
  database: Queryable,
  lost: readonly (EventKey & { jobId: string })[],
): Promise<number> {
  const { rowCount } = await database.query({
    text: `
      WITH free AS (
        SELECT e.source, e.event_id
        FROM unnest($1::text[], $2::text[], $3::uuid[]) AS l (source, event_id, job_id)
        JOIN {inbox}.webhook_events e ON e.source = l.source AND e.event_id = l.event_id
        WHERE e.job_id = l.job_id AND ${isStillPending}
        FOR NO KEY UPDATE OF e SKIP LOCKED
      )
      UPDATE {inbox}.webhook_events e SET job_id = NULL FROM free f
      WHERE e.source = f.source AND e.event_id = f.event_id`,
    values: [
      lost.map(({ source }) => source),
      lost.map(({ eventId }) => eventId),
      lost.map(({ jobId }) => jobId),
    ],
  });
  return rowCount ?? 0;
}
