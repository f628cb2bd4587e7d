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

/** The sources of a purge: one source alone, or all but some. Default: all. */
export interface PurgedSources {
  only?: string;
  except?: readonly string[];
}

interface Purge extends PurgedSources {
  /** See `readCutoff`. */
  before: string;
  /** Earliest arrival, in the same form; null: from the first event. */
  from: string | null;
  limit: number;
}

interface PurgedBatch {
  count: number;
  /** Where the next batch begins; null: there is no more, or only locked rows. */
  next: string | null;
}

/**
 * SQL: `old`, the first events that arrived and finished before $1. Of the days from $2 on only the first that has an event: so a
 * statement has an end, however many events are kept. PENDING and FAILED events stay; locked rows are left for the next
 * purge.
 */
const old = (condition = 'true') => `
  first AS (
    SELECT received_at FROM {inbox}.webhook_events WHERE received_at < $1 AND ($2::timestamptz IS NULL OR received_at >= $2)
    ORDER BY received_at LIMIT 1
  ), day AS (
    SELECT least($1::timestamptz, (SELECT received_at + interval '1 day' FROM first)) AS "end"
  ), old AS (
    SELECT source, event_id FROM {inbox}.webhook_events
    WHERE received_at >= (SELECT received_at FROM first) AND received_at < (SELECT "end" FROM day)
      AND status IN ('PROCESSED', 'IGNORED') AND (processed_at IS NULL OR processed_at < $1)
      AND ($4::text IS NULL OR source = $4) AND source <> ALL ($5::text[]) AND ${condition}
    ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED
  )`;

/** A full batch may have left events of its day. */
const batchOf = (changed: string) => `
  SELECT count(*)::int AS count, CASE WHEN count(*) = $3 THEN max(received_at)
    ELSE (SELECT "end" FROM day WHERE "end" < $1) END::text AS next FROM ${changed}`;

const purgeValues = ({ before, from, limit, only, except }: Purge) => [
  before,
  from,
  limit,
  only ?? null,
  except ?? [],
];

/** Deletes old events, oldest first, in the transaction that writes their tombstones. */
export async function purgeEvents(tx: Queryable, purge: Purge): Promise<PurgedBatch> {
  const { rows } = await tx.query<PurgedBatch & Record<string, unknown>>({
    text: `
      WITH ${old()}, gone AS (
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
      ${batchOf('gone')}`,
    values: purgeValues(purge),
  });
  return rows[0]!;
}

/** Deletes the exact bytes of old events whose payload is kept as well. */
export async function purgeRawBodies(tx: Queryable, purge: Purge): Promise<PurgedBatch> {
  const { rows } = await tx.query<PurgedBatch & Record<string, unknown>>({
    text: `
      WITH ${old('raw_body IS NOT NULL AND payload IS NOT NULL')}, cleared AS (
        UPDATE {inbox}.webhook_events e SET raw_body = NULL FROM old
        WHERE e.source = old.source AND e.event_id = old.event_id RETURNING e.received_at
      )
      ${batchOf('cleared')}`,
    values: purgeValues(purge),
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
