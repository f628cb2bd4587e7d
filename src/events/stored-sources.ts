// The sources that have events in the tables, also those that have no settings any more.
import type { Queryable } from '../database/database.ts';

const maxStoredSources = 1_000;

/** Postgres does an index look-up per name, for any number of events. */
const distinctSources = (table: string) => `
  SELECT source FROM (
    WITH RECURSIVE stored AS (
      (SELECT source::text FROM {inbox}.${table} ORDER BY source LIMIT 1)
      UNION ALL
      SELECT (SELECT t.source::text FROM {inbox}.${table} t WHERE t.source > s.source ORDER BY t.source LIMIT 1)
      FROM stored s WHERE s.source IS NOT NULL
    ) SELECT source FROM stored WHERE source IS NOT NULL LIMIT ${maxStoredSources}) AS of_one_table`;

/** The sources of stored events and of tombstones, at most 1,000 of each. */
export async function listStoredSources(database: Queryable): Promise<string[]> {
  const { rows } = await database.query<{ source: string }>({
    text: `${distinctSources('webhook_events')} UNION ${distinctSources('tombstones')}`,
    timeoutMs: 5_000,
  });
  return rows.map(({ source }) => source);
}
