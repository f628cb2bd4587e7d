// recovery_requests: events that a provider was asked to send again, until they arrive. All times are the database's.
import type { Queryable } from '../database/database.ts';

/** A delivery that the provider was asked for, and the events in it that are missing. */
export interface RecoveryRequest {
  deliveryId: string;
  eventIds: readonly string[];
}

/** The pause between two requests for an event: 15 minutes, doubled after each request, at most 4 hours. */
const isDue = `last_asked_at <= now() - interval '15 minutes' * 2 ^ least(times - 1, 4)`;
const givenUpAfter = `interval '24 hours'`;
const keptFor = `interval '30 days'`;

export async function recordRequest(
  database: Queryable,
  source: string,
  { deliveryId, eventIds }: RecoveryRequest,
): Promise<void> {
  await database.query(
    `INSERT INTO {inbox}.recovery_requests AS r (source, event_id, delivery_id)
     SELECT DISTINCT $1::text, id, $2::text FROM unnest($3::text[]) AS id
     ON CONFLICT (source, event_id) DO UPDATE SET delivery_id = $2, last_asked_at = now(), times = r.times + 1,
       refused_status = NULL`,
    [source, deliveryId, eventIds],
  );
}

/** The provider refused to send again what it had taken before: the next request has its pause as well. */
export async function recordRefusal(
  database: Queryable,
  source: string,
  { eventIds, status }: { eventIds: readonly string[]; status: number },
): Promise<void> {
  await database.query(
    `UPDATE {inbox}.recovery_requests SET last_asked_at = now(), times = times + 1, refused_status = $3
     WHERE source = $1 AND event_id = ANY ($2::text[])`,
    [source, eventIds, status],
  );
}

/** Those of the events that were asked for and have not arrived, given up or not. */
export async function findRequested(
  database: Queryable,
  source: string,
  eventIds: readonly string[],
): Promise<Set<string>> {
  if (eventIds.length === 0) return new Set();
  const { rows } = await database.query<{ eventId: string }>(
    `SELECT event_id AS "eventId" FROM {inbox}.recovery_requests WHERE source = $1 AND event_id = ANY ($2::text[])`,
    [source, eventIds],
  );
  return new Set(rows.map(({ eventId }) => eventId));
}

/**
 * The deliveries to ask for again, those of the oldest requests first.
 * @param options.atOnce without the pause between two requests
 */
export async function listDueRequests(
  database: Queryable,
  source: string,
  { atOnce, limit }: { atOnce: boolean; limit: number },
): Promise<RecoveryRequest[]> {
  const { rows } = await database.query<{ deliveryId: string; eventIds: string[] }>(
    `SELECT delivery_id AS "deliveryId", array_agg(event_id::text) AS "eventIds" FROM {inbox}.recovery_requests
     WHERE source = $1 AND given_up_at IS NULL AND ($2 OR ${isDue})
     GROUP BY delivery_id ORDER BY min(last_asked_at) LIMIT $3`,
    [source, atOnce, limit],
  );
  return rows;
}

/** Deletes the requests whose events have arrived, however they came. */
export async function forgetArrived(database: Queryable, source: string): Promise<void> {
  await database.query(
    `DELETE FROM {inbox}.recovery_requests r WHERE source = $1 AND (given_up_at < now() - ${keptFor}
       OR EXISTS (SELECT FROM {inbox}.webhook_events e WHERE e.source = r.source AND e.event_id = r.event_id)
       OR EXISTS (SELECT FROM {inbox}.tombstones s WHERE s.source = r.source AND s.event_id = r.event_id))`,
    [source],
  );
}

/** Gives up the events that were first asked for a day ago. @returns their ids */
export async function giveUpOldRequests(database: Queryable, source: string): Promise<string[]> {
  const { rows } = await database.query<{ eventId: string }>(
    `UPDATE {inbox}.recovery_requests SET given_up_at = now()
     WHERE source = $1 AND given_up_at IS NULL AND asked_at < now() - ${givenUpAfter}
     RETURNING event_id AS "eventId"`,
    [source],
  );
  return rows.map(({ eventId }) => eventId);
}

/** Events that were asked for, and have not arrived. */
export interface MissingEvents {
  missing: number;
  /** With which the provider refused the last request for each of them; null where it accepted some. */
  refusedStatus: number | null;
}

/** Counts those that are not given up, and those of `eventIds` that are. */
export async function countMissing(
  database: Queryable,
  source: string,
  eventIds: readonly string[],
): Promise<MissingEvents> {
  const { rows } = await database.query<{ missing: number; refusedStatus: number | null }>(
    `SELECT count(*)::int AS missing, CASE WHEN count(*) = count(refused_status) THEN max(refused_status) END AS "refusedStatus"
     FROM {inbox}.recovery_requests
     WHERE source = $1 AND (given_up_at IS NULL OR event_id = ANY ($2::text[]))`,
    [source, eventIds],
  );
  return rows[0]!;
}
