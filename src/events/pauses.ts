// The pauses: which there are, who waits because of them, their begin and end; and the order of events that resume.
import type { Queryable } from '../database/database.ts';
import { heldJobs } from '../queue/paused-jobs.ts';
import { isStillPending } from './event.ts';
import { type Claim, claimValues } from './locks.ts';

/** The events that a pause is for: those that match every field that is not null. */
export interface PauseScope {
  source: string | null;
  /** Exact, or a prefix that ends in `*`. Only with a source. */
  topic: string | null;
  /** Name of a handler. */
  handler: string | null;
}

/** As the table's constraint. */
export const isTopicPattern = (topic: string): boolean => /^([^*]+\*?|\*)$/.test(topic);

export interface Pause extends PauseScope {
  id: number;
  reason: string | null;
  pausedAt: Date;
  pausedBy: string;
}

export interface PauseInForce extends Pause {
  /** PENDING events that a worker has set aside because of it. */
  waiting: number;
  /** When the oldest of them came in; null: there is none. */
  oldestReceivedAt: Date | null;
}

const columns = `p.id, p.source, p.topic, p.handler, p.reason, p.paused_at AS "pausedAt", p.paused_by AS "pausedBy"`;
const readText = `SELECT ${columns} FROM {inbox}.pauses p ORDER BY p.paused_at, p.id`;

/** Oldest first. */
export async function readPauses(database: Queryable): Promise<Pause[]> {
  const { rows } = await database.query<Pause & Record<string, unknown>>({
    name: 'read_pauses',
    text: readText,
  });
  return rows;
}

/** Oldest first. An event that several pauses hold counts for each. */
export async function countWaiting(database: Queryable): Promise<PauseInForce[]> {
  const { rows } = await database.query<PauseInForce & Record<string, unknown>>(`
    SELECT ${columns}, count(e.event_id)::int AS waiting, min(e.received_at) AS "oldestReceivedAt"
    FROM {inbox}.pauses p
    LEFT JOIN ${heldJobs} AS held ON held.pauses @> to_jsonb(p.id)
    LEFT JOIN {inbox}.webhook_events e ON e.status = 'PENDING' AND e.job_id = held.id
    GROUP BY p.id ORDER BY p.paused_at, p.id`);
  return rows;
}

/**
 * SQL: since when the oldest of the pauses has been there that hold the job's events; NULL where none does.
 * @param jobId an SQL expression
 */
export const pausedSinceOf = (jobId: string): string =>
  `(SELECT min(p.paused_at) FROM ${heldJobs} AS held JOIN {inbox}.pauses p ON held.pauses @> to_jsonb(p.id)
    WHERE held.id = ${jobId})`;

/**
 * Begins a pause, unless there is one of the same scope. The trigger wakes the workers.
 * @param pausedBy undefined: the user of Postgres
 * @returns the pause of this scope
 */
export async function beginPause(
  database: Queryable,
  { source, topic, handler }: PauseScope,
  reason: string | null,
  pausedBy: string | undefined,
): Promise<{ pause: Pause; isNew: boolean }> {
  const { rows } = await database.query<Pause & { isNew: boolean } & Record<string, unknown>>({
    // DO UPDATE changes nothing; with DO NOTHING, RETURNING would skip the row that exists.
    text: `INSERT INTO {inbox}.pauses AS p (source, topic, handler, reason, paused_by)
      VALUES ($1, $2, $3, $4, coalesce($5, current_user))
      ON CONFLICT ON CONSTRAINT pauses_once DO UPDATE SET source = excluded.source
      RETURNING ${columns}, xmax = 0 AS "isNew"`,
    values: [source, topic, handler, reason, pausedBy ?? null],
  });
  const { isNew, ...pause } = rows[0]!;
  return { pause, isNew };
}

/** Ends the pause of exactly this scope, or every pause. The trigger wakes the workers. @returns the pauses that ended */
export async function endPauses(database: Queryable, scope: PauseScope | 'all'): Promise<Pause[]> {
  const isAll = scope === 'all';
  const { source, topic, handler } = isAll ? { source: null, topic: null, handler: null } : scope;
  const { rows } = await database.query<Pause & Record<string, unknown>>({
    text: `DELETE FROM {inbox}.pauses p
      WHERE $1 OR (p.source, p.topic, p.handler) IS NOT DISTINCT FROM ($2::text, $3::text, $4::text) RETURNING ${columns}`,
    values: [isAll, source, topic, handler],
  });
  return rows;
}

/** Of these claims those whose row is PENDING and bears its job, locked or not, in the order of arrival. */
export async function readInOrderOfArrival(tx: Queryable, claims: readonly Claim[]): Promise<Claim[]> {
  const { rows } = await tx.query<Claim & Record<string, unknown>>({
    text: `SELECT e.source, e.event_id AS "eventId", e.job_id AS "jobId"
      FROM unnest($1::text[], $2::text[], $3::uuid[]) AS c (source, event_id, job_id)
      JOIN {inbox}.webhook_events e ON e.source = c.source AND e.event_id = c.event_id
      WHERE e.job_id = c.job_id AND ${isStillPending}
      ORDER BY e.received_at, e.occurred_at`,
    values: claimValues(claims),
  });
  return rows;
}
