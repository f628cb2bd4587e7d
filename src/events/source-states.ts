// What each source has received and what became of it, for `postbell status`. Never reads the whole of webhook_events.
import type { Database } from '../database/database.ts';

export interface SourceFigures {
  source: string;
  /** PENDING and FAILED are counted now. */
  pending: number;
  failed: number;
  /** Of these: the last failure was in the last 24 h. */
  newlyFailed: number;
  /** PROCESSED and IGNORED are those of 400 days, purged events included; of an older hour as it was last counted. */
  processed: number;
  ignored: number;
  /** When the oldest PENDING event came in. */
  oldestPendingAt: Date | null;
  lastReceivedAt: Date | null;
  /** Events of this hour and of the 23 hours before. */
  last24Hours: number;
  /** Events of the same hours a day earlier, up to this minute: of the last hour the share that has passed of this hour. */
  previous24Hours: number;
  /** 99th percentile of the seconds from arrival to the handler's commit, of `last24Hours`. See `latency_percentile`. */
  latencyP99Seconds: number | null;
}

/** By name. */
export async function readSourceStates(database: Database): Promise<SourceFigures[]> {
  // Compiling the plan (jit) would take longer than the statement.
  return database.transaction(
    async (tx) => (await tx.query<SourceFigures & Record<string, unknown>>(statesText)).rows,
    { settings: { jit: 'off' } },
  );
}

const statesText = `
  WITH pending AS (
    SELECT source, count(*) AS pending, min(received_at) AS oldest_at
    FROM {inbox}.webhook_events WHERE status = 'PENDING' GROUP BY source
  ), failed AS (
    SELECT source, count(*) AS failed, count(*) FILTER (WHERE failed_at > now() - interval '24 hours') AS newly
    FROM {inbox}.dead_letters GROUP BY source
  ), clock AS (
    SELECT this_hour, extract(epoch FROM now() - this_hour) / 3600 AS share
    FROM date_trunc('hour', now(), 'UTC') AS this_hour
  ), arrived AS (
    SELECT source, sum(processed) AS processed, sum(ignored) AS ignored, max(last_received_at) AS last_at,
      sum(received) FILTER (WHERE hour > this_hour - interval '24 hours') AS last_day,
      sum(received * CASE WHEN hour = this_hour - interval '24 hours' THEN share ELSE 1 END)
        FILTER (WHERE hour > this_hour - interval '48 hours' AND hour <= this_hour - interval '24 hours') AS day_before,
      {inbox}.latency_percentile(
        array_agg(latency_counts) FILTER (WHERE hour > this_hour - interval '24 hours'), 0.99) AS p99
    FROM {inbox}.webhook_hours, clock GROUP BY source
  )
  SELECT source, coalesce(pending, 0)::int AS pending, coalesce(failed, 0)::int AS failed,
    coalesce(newly, 0)::int AS "newlyFailed", coalesce(processed, 0)::float8 AS processed,
    coalesce(ignored, 0)::float8 AS ignored, oldest_at AS "oldestPendingAt", last_at AS "lastReceivedAt",
    coalesce(last_day, 0)::float8 AS "last24Hours", coalesce(round(day_before), 0)::float8 AS "previous24Hours",
    p99 AS "latencyP99Seconds"
  FROM arrived FULL JOIN pending USING (source) FULL JOIN failed USING (source) ORDER BY source`;
