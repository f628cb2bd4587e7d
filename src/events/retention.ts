// The purge of finished events: deletes their rows and keeps their ids as tombstones.
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import { sourcesIn } from './filter.ts';
import { countedUpTo } from './hourly-counts.ts';

/**
 * The time `ageMs` ago by the database's clock, as text with microseconds: `received_at` is by the same clock. Not after
 * `countedUpTo`: an event is purged only when its hour has been counted.
 */
export async function readCutoff(database: Queryable, ageMs: number): Promise<string> {
  const { rows } = await database.query<{ cutoff: string }>({
    text: `SELECT least(now() - make_interval(secs => $1), coalesce(${countedUpTo}, '-infinity'))::text AS cutoff`,
    values: [ageMs / 1_000],
  });
  return rows[0]!.cutoff;
}

/**
 * Deletes up to `limit` events that arrived and finished before `before`, oldest first, in the transaction that writes
 * their tombstones. PENDING and FAILED events stay; locked rows are left for the next purge.
 * @param before see `readCutoff`
 * @param from earliest arrival, in the same form; null: from the first event
 * @returns the number of deleted events, and the arrival of the last
 */
export async function purgeEvents(
  tx: Queryable,
  { before, from, limit }: { before: string; from: string | null; limit: number },
): Promise<{ count: number; last: string | null }> {
  const { rows } = await tx.query<{ count: number; last: string | null }>({
    text: `
      WITH old AS (
        SELECT source, event_id FROM {inbox}.webhook_events
        WHERE received_at < $1 AND ($2::timestamptz IS NULL OR received_at >= $2)
          AND status IN ('PROCESSED', 'IGNORED') AND (processed_at IS NULL OR processed_at < $1)
        ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM {inbox}.webhook_events e USING old WHERE e.source = old.source AND e.event_id = old.event_id
        RETURNING e.source, e.event_id, e.topic, e.processed_at, e.received_at, e.unique_body, e.body_sha256
      ), buried AS (
        INSERT INTO {inbox}.tombstones (source, event_id, processed_on, body_sha256, topic, received_at)
        SELECT source, event_id, processed_at, CASE WHEN unique_body THEN body_sha256 END,
          CASE WHEN unique_body THEN topic END, CASE WHEN unique_body THEN received_at END
        FROM gone
        -- A row that an operator restored has a tombstone already.
        ON CONFLICT (source, event_id) DO NOTHING
      )
      SELECT count(*)::int AS count, max(received_at)::text AS last FROM gone`,
    values: [before, from, limit],
  });
  return rows[0]!;
}

/** Deletes up to `limit` requests that have been in quarantine for `days`. @returns their number */
export async function purgeQuarantine(
  database: Queryable,
  { days, limit }: { days: number; limit: number },
): Promise<number> {
  // Ids are in the order of arrival, but for a second: the oldest are the first.
  const { rowCount } = await database.query({
    text: `DELETE FROM {inbox}.quarantined_requests WHERE arrived_at < now() - make_interval(days => $1)
      AND id IN (SELECT id FROM {inbox}.quarantined_requests ORDER BY id LIMIT $2)`,
    values: [days, limit],
  });
  return rowCount ?? 0;
}

export interface Tombstone extends EventKey {
  /** As 2026-11-25; null: it was IGNORED. */
  processedOn: string | null;
  purgedOn: string;
}

/** The tombstones of purged events with that id, one per source. */
export async function findTombstones(
  database: Queryable,
  eventId: string,
  source: string | undefined,
): Promise<Tombstone[]> {
  const { rows } = await database.query<Tombstone & Record<string, unknown>>({
    text: `SELECT source, event_id AS "eventId", processed_on::text AS "processedOn",
        purged_on::text AS "purgedOn" FROM {inbox}.tombstones
      WHERE event_id = $1 AND source = ANY (coalesce($2::text[], ${sourcesIn('tombstones')})) ORDER BY source`,
    values: [eventId, source === undefined ? null : [source]],
  });
  return rows;
}
