// The state of each source: its arrivals by hour, what waits, what is dead, what was rejected. Reads only, each a statement.
import type { Queryable } from '../database/database.ts';
import { heldJobs } from '../queue/paused-jobs.ts';

export interface HourOfArrivals {
  hour: Date;
  received: number;
  failed: number;
}

export interface Arrivals {
  source: string;
  /** null: none within seven days. */
  lastReceivedAt: Date | null;
  /** The hours of the last 24 in which events arrived, oldest first. */
  hours: HourOfArrivals[];
  /** Seconds from arrival to the handler's commit, of the events of the last 24 hours; null: none was PROCESSED. */
  p50Seconds: number | null;
  p99Seconds: number | null;
}

/** Of each source with an event in the last seven days; where no worker has counted hours yet, in the last day. */
export async function readArrivals(database: Queryable): Promise<Arrivals[]> {
  type Found = Omit<Arrivals, 'hours'> & { hours: (Omit<HourOfArrivals, 'hour'> & { hour: string })[] };
  const { rows } = await database.query<Found & Record<string, unknown>>(
    `WITH day AS MATERIALIZED (
       SELECT source, hour, received, failed, last_received_at, latency_counts
       FROM {inbox}.webhook_hours WHERE hour > now() - interval '24 hours'
     ), hours AS (
       SELECT source, json_agg(json_build_object('hour', hour, 'received', received, 'failed', failed) ORDER BY hour) AS hours
       FROM (SELECT source, hour, sum(received) AS received, sum(failed) AS failed FROM day GROUP BY source, hour) AS by_hour
       GROUP BY source
     ), latencies AS (
       SELECT source, max(last_received_at) AS last_received_at,
         {inbox}.latency_percentile(array_agg(latency_counts), 0.5) AS p50, {inbox}.latency_percentile(array_agg(latency_counts), 0.99) AS p99
       FROM day GROUP BY source
     ), week AS (
       -- The table, not the view: the newest hours are in the day, and of the others only the time is read.
       SELECT source, max(last_received_at) AS last_received_at FROM {inbox}.hourly_counts
       WHERE hour > now() - interval '7 days' GROUP BY source
     )
     SELECT source, greatest(w.last_received_at, l.last_received_at) AS "lastReceivedAt", p50 AS "p50Seconds", p99 AS "p99Seconds",
       coalesce(h.hours, '[]') AS hours
     FROM week w FULL JOIN latencies l USING (source) LEFT JOIN hours h USING (source) ORDER BY source`,
  );
  return rows.map(({ hours, ...row }) => ({
    ...row,
    hours: hours.map(({ hour, ...counts }) => ({ ...counts, hour: new Date(hour) })),
  }));
}

export interface SourceBacklog {
  source: string;
  pending: number;
  /** Of these: failed at least once. */
  retrying: number;
  /** Of these: their handler threw Later. */
  deferred: number;
  /** null: none is pending. */
  oldestReceivedAt: Date | null;
  /** The oldest event that was never tried and that no pause holds; null: there is none. */
  oldestUntriedAt: Date | null;
}

export async function readBacklogs(database: Queryable): Promise<SourceBacklog[]> {
  const { rows } = await database.query<SourceBacklog & Record<string, unknown>>(
    `SELECT source, count(*)::int AS pending, count(*) FILTER (WHERE attempts > 0)::int AS retrying,
       count(*) FILTER (WHERE deferrals > 0)::int AS deferred, min(received_at) AS "oldestReceivedAt",
       min(received_at) FILTER (WHERE attempts = 0 AND deferrals = 0 AND held.id IS NULL) AS "oldestUntriedAt"
     FROM {inbox}.webhook_events e LEFT JOIN ${heldJobs} AS held ON held.id = e.job_id
     WHERE status = 'PENDING' GROUP BY source`,
  );
  return rows;
}

export interface SourceCount {
  source: string;
  count: number;
}

export async function countDeadLetters(database: Queryable): Promise<SourceCount[]> {
  const { rows } = await database.query<SourceCount & Record<string, unknown>>(
    `SELECT source, count(*)::int AS count FROM {inbox}.webhook_events WHERE status = 'FAILED' GROUP BY source`,
  );
  return rows;
}
