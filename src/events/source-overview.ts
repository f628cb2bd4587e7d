// The state of each source: its arrivals by hour, what waits, what is dead, what was rejected. Reads only, each a statement.
import type { Queryable } from '../database/database.ts';

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
}

/** Of each source with an event in the last seven days. */
export async function readArrivals(database: Queryable): Promise<Arrivals[]> {
  type Found = Omit<Arrivals, 'hours'> & { hours: (Omit<HourOfArrivals, 'hour'> & { hour: string })[] };
  const { rows } = await database.query<Found & Record<string, unknown>>(
    `SELECT source, max(last_received_at) AS "lastReceivedAt",
       coalesce(json_agg(json_build_object('hour', hour, 'received', received, 'failed', failed) ORDER BY hour)
         FILTER (WHERE hour > now() - interval '24 hours'), '[]') AS hours
     FROM (
       SELECT source, hour, sum(received) AS received, sum(failed) AS failed, max(last_received_at) AS last_received_at
       FROM {inbox}.webhook_hours WHERE hour > now() - interval '7 days' GROUP BY source, hour) s
     GROUP BY source ORDER BY source`,
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
  /** The oldest event that was never tried; null: each was. */
  oldestUntriedAt: Date | null;
}

export async function readBacklogs(database: Queryable): Promise<SourceBacklog[]> {
  const { rows } = await database.query<SourceBacklog & Record<string, unknown>>(
    `SELECT source, count(*)::int AS pending, count(*) FILTER (WHERE attempts > 0)::int AS retrying,
       count(*) FILTER (WHERE deferrals > 0)::int AS deferred, min(received_at) AS "oldestReceivedAt",
       min(received_at) FILTER (WHERE attempts = 0 AND deferrals = 0) AS "oldestUntriedAt"
     FROM {inbox}.webhook_events WHERE status = 'PENDING' GROUP BY source`,
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

/** Of the last 24 hours; a lower bound, since only a sample is written. */
export async function countRejections(database: Queryable): Promise<(SourceCount & { lastAt: Date })[]> {
  const { rows } = await database.query<SourceCount & { lastAt: Date } & Record<string, unknown>>(
    `SELECT source, (count(*) + sum(skipped))::int AS count, max(received_at) AS "lastAt"
     FROM {inbox}.rejected_requests WHERE received_at > now() - interval '24 hours' GROUP BY source`,
  );
  return rows;
}
