// The demo's statements on webhook_events: compares the inbox with the client's journal.
import type { Queryable } from '../database/database.ts';
import type { ShopEvent } from './shop-events.ts';

export interface EventFigures {
  stored: number;
  /** Answered 200, but not stored. */
  lost: number;
  /** Stored, but never answered 200. */
  unknown: number;
  duplicates: number;
  pending: number;
  processed: number;
  ignored: number;
  failed: number;
  /** Acknowledged events with a wrong status or a wrong number of failures. */
  otherwise: number;
  failures: number;
}

/** @param acknowledged the events that were answered 200 as new */
export async function readEventFigures(
  database: Queryable,
  acknowledged: readonly ShopEvent[],
): Promise<EventFigures> {
  const { rows } = await database.query<EventFigures & Record<string, unknown>>({
    text: `
      WITH sent AS (
        SELECT source, "eventId" AS event_id, fate, failures FROM jsonb_to_recordset($1::jsonb)
          AS s (source text, "eventId" text, fate text, failures int)
      ), compared AS (
        SELECT sent.fate, sent.failures AS expected_failures, e.*, sent.source IS NOT NULL AS is_sent,
          e.source IS NOT NULL AS is_stored, (SELECT count(*) FROM {inbox}.failed_attempts f
            WHERE f.source = e.source AND f.event_id = e.event_id) AS recorded_failures
        FROM sent FULL JOIN {inbox}.webhook_events e USING (source, event_id)
      )
      SELECT count(*) FILTER (WHERE is_stored)::int AS stored,
        count(*) FILTER (WHERE NOT is_stored)::int AS lost,
        count(*) FILTER (WHERE NOT is_sent)::int AS unknown,
        coalesce(sum(duplicates), 0)::int AS duplicates,
        count(*) FILTER (WHERE status = 'PENDING')::int AS pending,
        count(*) FILTER (WHERE status = 'PROCESSED')::int AS processed,
        count(*) FILTER (WHERE status = 'IGNORED')::int AS ignored,
        count(*) FILTER (WHERE status = 'FAILED')::int AS failed,
        count(*) FILTER (WHERE is_sent AND is_stored
          AND (status <> fate OR recorded_failures <> expected_failures))::int AS otherwise,
        coalesce(sum(recorded_failures), 0)::int AS failures
      FROM compared`,
    values: [JSON.stringify(acknowledged)],
  });
  return rows[0]!;
}

type EventKeys = readonly Pick<ShopEvent, 'source' | 'eventId'>[];

/** Number of these events that are PENDING or not stored. */
export async function countUnfinished(database: Queryable, events: EventKeys): Promise<number> {
  const { rows } = await database.query<{ count: number }>({
    text: `SELECT count(*)::int AS count FROM unnest($1::text[], $2::text[]) AS key (source, event_id)
      LEFT JOIN {inbox}.webhook_events e USING (source, event_id) WHERE e.status IS NULL OR e.status = 'PENDING'`,
    values: [events.map((event) => event.source), events.map((event) => event.eventId)],
  });
  return rows[0]!.count;
}

export async function isDeferred(
  database: Queryable,
  event: Pick<ShopEvent, 'source' | 'eventId'>,
): Promise<boolean> {
  const { rowCount } = await database.query(
    'SELECT FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2 AND deferrals > 0',
    [event.source, event.eventId],
  );
  return rowCount === 1;
}

export interface DeadLetter {
  source: string;
  event_id: string;
  topic: string;
  attempts: number;
  last_error: string;
}

export async function readDeadLetters(database: Queryable): Promise<DeadLetter[]> {
  const { rows } = await database.query<DeadLetter & Record<string, unknown>>(
    'SELECT source, event_id, topic, attempts, last_error FROM {inbox}.dead_letters ORDER BY failed_at',
  );
  return rows;
}

/** The replay of one event, as an operator types it in psql. */
export const replayStatement = `UPDATE webhook_events SET status = 'PENDING' WHERE source = $1 AND event_id = $2`;

export async function replayBySql(
  database: Queryable,
  event: Pick<ShopEvent, 'source' | 'eventId'>,
): Promise<void> {
  await database.query(replayStatement, [event.source, event.eventId]);
}

/** Statements for the reader to try in psql. */
export const statementsToTry = [
  'SELECT status, count(*) FROM webhook_events GROUP BY 1',
  'SELECT source, event_id, last_error FROM dead_letters',
  `UPDATE webhook_events SET status = 'PENDING' WHERE status = 'FAILED'`,
  'SELECT * FROM webhook_backlog',
  'SELECT * FROM webhook_stats',
] as const;
