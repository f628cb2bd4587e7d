// The dead letters, grouped by what an operator decides about at once: source, topic and error.
import type { Queryable } from '../database/database.ts';
import { errorGroup } from './filter.ts';

export interface DeadLetterGroup {
  source: string;
  topic: string;
  /** See `errorGroup`. */
  errorGroup: string;
  /** `last_error` of the newest event. */
  error: string;
  count: number;
  oldestReceivedAt: Date;
  newestReceivedAt: Date;
}

/** Only so many dead letters are grouped, the newest: a page must not read millions. */
export const maxGrouped = 100_000;

/** The largest groups first. @returns also the number of dead letters that were grouped, at most `maxGrouped` */
export async function groupDeadLetters(
  database: Queryable,
  limit: number,
  source: string | undefined,
): Promise<{ groups: DeadLetterGroup[]; groupCount: number; grouped: number }> {
  type Found = DeadLetterGroup & { groupCount: number; grouped: number };
  const { rows } = await database.query<Found & Record<string, unknown>>({
    text: `WITH newest AS (
        SELECT source, topic, left(last_error, 200) AS error, received_at FROM {inbox}.webhook_events
        WHERE status = 'FAILED' AND ($2::text IS NULL OR source = $2) ORDER BY received_at DESC LIMIT ${maxGrouped}
      ), texts AS (
        -- Most errors are repeated word by word: the expressions of errorGroup are the dearest part.
        SELECT source, topic, error, count(*) AS events, min(received_at) AS oldest_at, max(received_at) AS newest_at
        FROM newest GROUP BY source, topic, error
      )
      SELECT source, topic, ${errorGroup('error')} AS "errorGroup",
        (array_agg(error ORDER BY newest_at DESC))[1] AS error, sum(events)::int AS count,
        min(oldest_at) AS "oldestReceivedAt", max(newest_at) AS "newestReceivedAt",
        (count(*) OVER ())::int AS "groupCount", (sum(sum(events)) OVER ())::int AS grouped
      FROM texts GROUP BY source, topic, ${errorGroup('error')} ORDER BY count DESC, max(newest_at) DESC LIMIT $1`,
    values: [limit, source ?? null],
  });
  const { groupCount = 0, grouped = 0 } = rows[0] ?? {};
  return { groups: rows, groupCount, grouped };
}
