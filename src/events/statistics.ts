// The state of the inbox: backlog, reasons of failures, topics that arrive. Reads only.
import type { Queryable } from '../database/database.ts';
import { heldJobs } from '../queue/paused-jobs.ts';

export interface Backlog {
  pending: number;
  /** Of these: failed at least once. */
  retrying: number;
  /** Of these: their handler threw Later. */
  deferred: number;
  /** Of these: they wait for the end of a pause. */
  paused: number;
  /** Pending events that have had no job for over a minute, although a reconciler would have enqueued them. */
  withoutJob: number;
  /** Age of the oldest event that was never tried and waits for no pause. */
  oldestUntriedSeconds: number | null;
}

export async function readBacklog(database: Queryable): Promise<Backlog> {
  const { rows } = await database.query<Backlog & Record<string, unknown>>(
    `SELECT count(*)::int AS pending, count(*) FILTER (WHERE attempts > 0)::int AS retrying,
       count(*) FILTER (WHERE deferrals > 0)::int AS deferred,
       count(*) FILTER (WHERE job_id IS NULL AND received_at < now() - interval '1 minute')::int AS "withoutJob",
       count(held.id)::int AS paused,
       extract(epoch FROM now() - min(received_at) FILTER (WHERE attempts = 0 AND deferrals = 0 AND held.id IS NULL))::float8
         AS "oldestUntriedSeconds"
     FROM {inbox}.webhook_events e LEFT JOIN ${heldJobs} AS held ON held.id = e.job_id WHERE status = 'PENDING'`,
  );
  return rows[0]!;
}

export interface FailureReason {
  /** The first 200 characters of `last_error`. */
  error: string;
  count: number;
}

export interface FailureReasons {
  /** Most frequent first. */
  reasons: FailureReason[];
  /** The causes beyond the limit, and their dead letters. */
  more: { reasons: number; count: number };
}

/** The dead letters by their last error. */
export async function countFailureReasons(database: Queryable, limit: number): Promise<FailureReasons> {
  type Row = FailureReason & { reasonCount: number; total: number };
  const { rows } = await database.query<Row & Record<string, unknown>>({
    text: `SELECT left(last_error, 200) AS error, count(*)::int AS count,
        (count(*) OVER ())::int AS "reasonCount", (sum(count(*)) OVER ())::int AS total
      FROM {inbox}.webhook_events WHERE status = 'FAILED' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1`,
    values: [limit],
  });
  const { reasonCount = 0, total = 0 } = rows[0] ?? {};
  const shown = rows.reduce((sum, { count }) => sum + count, 0);
  return {
    reasons: rows.map(({ error, count }) => ({ error, count })),
    more: { reasons: reasonCount - rows.length, count: total - shown },
  };
}

export interface TopicCount {
  provider: string;
  source: string;
  topic: string;
  count: number;
}

/** The topics of the last `days`, most frequent first. */
export async function countTopics(database: Queryable, days: number, limit: number): Promise<TopicCount[]> {
  const { rows } = await database.query<TopicCount & Record<string, unknown>>({
    text: `SELECT provider, source, topic, count(*)::int AS count FROM {inbox}.webhook_events
      WHERE received_at > now() - make_interval(days => $1)
      GROUP BY provider, source, topic ORDER BY count DESC, source, topic LIMIT $2`,
    values: [days, limit],
  });
  return rows;
}

export interface Storage {
  /** Of events, tombstones and failures, indexes included. */
  bytes: number;
  /** null: there is no event. */
  oldestReceivedAt: Date | null;
}

export async function readStorage(database: Queryable): Promise<Storage> {
  const { rows } = await database.query<Storage & Record<string, unknown>>(
    `SELECT (pg_total_relation_size('{inbox}.webhook_events') + pg_total_relation_size('{inbox}.tombstones')
        + pg_total_relation_size('{inbox}.failed_attempts'))::float8 AS bytes,
      (SELECT min(received_at) FROM {inbox}.webhook_events) AS "oldestReceivedAt"`,
  );
  return rows[0]!;
}
