// Counts further deliveries of stored events on their rows.
import { byteaArray, int4Array, textArray } from '../database/binary-array.ts';
import type { Queryable } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';

/** Further deliveries of an event that is stored. */
export interface DuplicateCount extends EventKey {
  bodySha256: Buffer;
  count: number;
}

/**
 * Counts duplicates on their rows. Skips locked rows: a provider must not wait for an operator's open transaction.
 * @returns `stillUncounted`: duplicates whose rows are locked (not those whose rows were deleted); `conflicting`: counted
 *   duplicates whose body differs from the stored body
 */
export async function countDuplicates<T extends DuplicateCount>(
  tx: Queryable,
  duplicates: readonly T[],
): Promise<{ stillUncounted: T[]; conflicting: T[] }> {
  if (duplicates.length === 0) return { stillUncounted: [], conflicting: [] };
  const { rows } = await tx.query<{ position: number; isCounted: boolean }>({
    name: 'count_duplicates',
    text: `
      WITH target AS (
        SELECT e.ctid, d.count, d.position, e.body_sha256 <> d.body_sha256 AS is_conflict
        FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[])
          WITH ORDINALITY AS d (source, event_id, body_sha256, count, position)
        JOIN {inbox}.webhook_events e ON e.source = d.source AND e.event_id = d.event_id
      ), free AS (
        SELECT e.ctid FROM {inbox}.webhook_events e WHERE e.ctid = ANY (ARRAY(SELECT ctid FROM target))
        FOR NO KEY UPDATE SKIP LOCKED
      ), counted AS (
        UPDATE {inbox}.webhook_events e SET duplicates = e.duplicates + t.count
        FROM (SELECT ctid, sum(count)::int AS count FROM target GROUP BY ctid) t, free f
        WHERE e.ctid = f.ctid AND t.ctid = f.ctid
        RETURNING t.ctid AS ctid
      )
      SELECT t.position::int AS position, c.ctid IS NOT NULL AS "isCounted"
      FROM target t LEFT JOIN counted c ON c.ctid = t.ctid
      WHERE c.ctid IS NULL OR t.is_conflict`,
    values: [
      textArray(duplicates.map((duplicate) => duplicate.source)),
      textArray(duplicates.map((duplicate) => duplicate.eventId)),
      byteaArray(duplicates.map((duplicate) => duplicate.bodySha256)),
      int4Array(duplicates.map((duplicate) => duplicate.count)),
    ],
  });
  const rowsThat = (isCounted: boolean) =>
    rows.filter((row) => row.isCounted === isCounted).map((row) => duplicates[row.position - 1]!);
  return { stillUncounted: rowsThat(false), conflicting: rowsThat(true) };
}
