// The events counted by hour of arrival: which hours have to be counted, and the counting of one hour. sql/ defines the aggregate.
import type { Queryable } from '../database/database.ts';

/** Older rows are deleted. */
const keptFor = `interval '400 days'`;
/** An event's received_at is the start of its transaction: the event may appear so much later. */
const commitsWithin = `interval '10 minutes'`;

/**
 * Every event that was received before this time has been counted at least once; NULL if no hour was counted. Hours are counted
 * upward, so it depends on the newest hour alone.
 */
export const countedUpTo = `(
  SELECT max(hour + least(counted_at - hour - ${commitsWithin}, interval '1 hour')) FROM {inbox}.hourly_counts
  WHERE hour = (SELECT max(hour) FROM {inbox}.hourly_counts))`;

/** Limit of a statement that looks for hours. */
const timeoutMs = 60_000;

/** How long ago the newest hour was counted, by whichever worker; null if no hour was counted. */
export async function readCountAgeMs(database: Queryable): Promise<number | null> {
  const { rows } = await database.query<{ ageMs: number | null }>(
    `SELECT 1000 * extract(epoch FROM now() - max(counted_at))::float8 AS "ageMs" FROM {inbox}.hourly_counts
     WHERE hour = (SELECT max(hour) FROM {inbox}.hourly_counts)`,
  );
  return rows[0]!.ageMs;
}

/** An hour that has to be counted. */
export interface DueHour {
  hour: Date;
  /** The rows of `recounts` that ask for it. */
  recountIds: string[];
}

/** Hours that have to be counted again, oldest first: their events were replayed, were PENDING, or are dead letters no more. */
export async function listStaleHours(database: Queryable): Promise<DueHour[]> {
  const { rows } = await database.query<DueHour & Record<string, unknown>>({
    text: `
      WITH stored AS (
        SELECT hour, sum(pending) AS pending, sum(failed) AS failed
        FROM {inbox}.hourly_counts WHERE pending > 0 OR failed > 0 GROUP BY hour
      ), dead AS (
        SELECT date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS failed
        FROM {inbox}.webhook_events WHERE status = 'FAILED' AND received_at > now() - ${keptFor} GROUP BY 1
      )
      SELECT hour, coalesce(array_agg(id::text) FILTER (WHERE id IS NOT NULL), '{}') AS "recountIds" FROM (
        SELECT hour, id FROM {inbox}.recounts
        UNION ALL SELECT hour, NULL FROM stored WHERE pending > 0
        UNION ALL SELECT hour, NULL FROM stored FULL JOIN dead USING (hour)
          WHERE coalesce(stored.failed, 0) <> coalesce(dead.failed, 0)
      ) AS stale
      GROUP BY stale.hour ORDER BY stale.hour`,
    timeoutMs,
  });
  return rows;
}

/** The first hour with events from `from` on; null: there is none. @param from null: from `countedUpTo` on */
export async function nextHour(database: Queryable, from: Date | null): Promise<Date | null> {
  const { rows } = await database.query<{ hour: Date | null }>({
    text: `SELECT date_trunc('hour', min(received_at), 'UTC') AS hour FROM {inbox}.webhook_events
      WHERE received_at >= coalesce($1::timestamptz, date_trunc('hour', ${countedUpTo}, 'UTC'), '-infinity')`,
    values: [from],
    timeoutMs,
  });
  return rows[0]!.hour;
}

const counts = [
  'received',
  'duplicates',
  'processed',
  'failed',
  'ignored',
  'pending',
  'deferred',
  'latency_counts',
  'active_minutes',
  'last_received_at',
].join(', ');

/** Counts the events of one hour. A row stays as it is if some of its events were purged or deleted: `received` must never decrease. */
const countHourText = `
  WITH counted AS (
    INSERT INTO {inbox}.hourly_counts AS stored (source, hour, topic, ${counts}, counted_at)
    SELECT source, hour, topic, ${counts}, now() FROM {inbox}.live_hourly_counts WHERE hour = $1
    ON CONFLICT (source, hour, topic) DO UPDATE SET (${counts}, counted_at) = (
      SELECT ${counts.replaceAll(/\w+/g, 'EXCLUDED.$&')}, EXCLUDED.counted_at)
    WHERE EXCLUDED.received >= stored.received
    RETURNING source, topic
  ), done AS (
    DELETE FROM {inbox}.recounts WHERE id = ANY ($2::bigint[])
  )
  SELECT EXISTS (
    SELECT FROM {inbox}.hourly_counts WHERE hour = $1 AND (source, topic) NOT IN (SELECT source, topic FROM counted)
  ) AS "hasDeletedEvents"`;

/**
 * Counts an hour, and deletes the rows of `recounts` that asked for it.
 * @returns whether rows of that hour stayed as they were, because fewer of their events are stored than were counted before
 */
export async function countHour(
  tx: Queryable,
  { hour, recountIds }: DueHour,
): Promise<{ hasDeletedEvents: boolean }> {
  const { rows } = await tx.query<{ hasDeletedEvents: boolean }>({
    text: countHourText,
    values: [hour, recountIds],
  });
  return rows[0]!;
}

/** The newest hour stays, however old: the counting starts from it, and the purge ends there. */
export async function deleteOldCounts(database: Queryable): Promise<void> {
  await database.query(`DELETE FROM {inbox}.hourly_counts
    WHERE hour < now() - ${keptFor} AND hour < (SELECT max(hour) FROM {inbox}.hourly_counts)`);
  await database.query(`DELETE FROM {inbox}.rejection_counts WHERE slot_at < now() - ${keptFor}`);
}
