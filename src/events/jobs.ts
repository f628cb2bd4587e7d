// The job of an event: moved to another job, or lost and enqueued again.
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import { isStillPending } from './event.ts';

/** Moves the event to a new job, in the transaction that inserts the job. Costs no failure. */
export async function moveToJob(
  tx: Queryable,
  key: EventKey,
  fromJobId: string,
  toJobId: string,
  isDeferral: boolean,
): Promise<boolean> {
  const { rowCount } = await tx.query({
    text: `UPDATE webhook_events SET job_id = $4, deferrals = deferrals + $5::int
      WHERE source = $1 AND event_id = $2 AND job_id = $3 AND ${isStillPending}`,
    values: [key.source, key.eventId, fromJobId, toJobId, isDeferral ? 1 : 0],
  });
  return rowCount === 1;
}

/**
 * `moveToJob` for many, whose rows this transaction has locked, without a deferral.
 * @returns the number of events that still had the old job
 */
export async function moveManyToJobs(
  tx: Queryable,
  moves: readonly (EventKey & { fromJobId: string; jobId: string })[],
): Promise<number> {
  const { rowCount } = await tx.query({
    text: `UPDATE webhook_events e SET job_id = m.to_job
      FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[]) AS m (source, event_id, from_job, to_job)
      WHERE e.source = m.source AND e.event_id = m.event_id AND e.job_id = m.from_job AND ${isStillPending}`,
    values: [
      moves.map((move) => move.source),
      moves.map((move) => move.eventId),
      moves.map((move) => move.fromJobId),
      moves.map((move) => move.jobId),
    ],
  });
  return rowCount ?? 0;
}

/** PENDING events without a job, locked for this transaction; rows that other workers locked are skipped. */
export async function lockEventsWithoutJob(
  tx: Queryable,
  limit: number,
): Promise<(EventKey & { endedItsProcess: boolean })[]> {
  const { rows } = await tx.query<EventKey & { endedItsProcess: boolean } & Record<string, unknown>>({
    text: `SELECT source, event_id AS "eventId", EXISTS (SELECT FROM lone_attempts m
        WHERE m.source = e.source AND m.event_id = e.event_id) AS "endedItsProcess"
      FROM webhook_events e
      WHERE status = 'PENDING' AND job_id IS NULL
      ORDER BY received_at LIMIT $1 FOR NO KEY UPDATE OF e SKIP LOCKED`,
    values: [limit],
  });
  return rows;
}

export async function assignJobs(
  tx: Queryable,
  jobs: readonly (EventKey & { jobId: string })[],
): Promise<void> {
  await tx.query({
    text: `UPDATE webhook_events e SET job_id = j.job_id
      FROM unnest($1::text[], $2::text[], $3::uuid[]) AS j (source, event_id, job_id)
      WHERE e.source = j.source AND e.event_id = j.event_id`,
    values: [jobs.map((job) => job.source), jobs.map((job) => job.eventId), jobs.map((job) => job.jobId)],
  });
}

export interface EnqueuedEvent extends EventKey {
  jobId: string;
  receivedAt: string;
}

/** A page of PENDING events that have a job, oldest first, to be compared with the jobs that exist. */
export async function pageOfEnqueued(
  database: Queryable,
  after: Pick<EnqueuedEvent, 'receivedAt' | 'source' | 'eventId'> | undefined,
  limit: number,
): Promise<EnqueuedEvent[]> {
  const { rows } = await database.query<EnqueuedEvent & Record<string, unknown>>({
    // As text: a JavaScript Date would cut the microseconds off and the next page would start too early.
    text: `SELECT source, event_id AS "eventId", job_id AS "jobId", received_at::text AS "receivedAt" FROM webhook_events
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
        SELECT e.source, e.event_id FROM webhook_events e
        JOIN unnest($1::text[], $2::text[], $3::uuid[]) AS l (source, event_id, job_id)
          ON e.source = l.source AND e.event_id = l.event_id AND e.job_id = l.job_id
        WHERE ${isStillPending} FOR NO KEY UPDATE OF e SKIP LOCKED
      )
      UPDATE webhook_events e SET job_id = NULL FROM free
      WHERE e.source = free.source AND e.event_id = free.event_id`,
    values: [
      lost.map((event) => event.source),
      lost.map((event) => event.eventId),
      lost.map((event) => event.jobId),
    ],
  });
  return rowCount ?? 0;
}
