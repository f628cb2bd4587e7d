// Finds the team's own objects that clash with our migrations, before the first migration runs.
import type { Queryable } from '../database/database.ts';
import { type Migration, migrationsTable } from './record.ts';

type Kind = 'table' | 'view' | 'index' | 'domain' | 'type' | 'function';
interface Named {
  kind: Kind;
  name: string;
}

const creates =
  /^CREATE (?:OR REPLACE )?(?:UNIQUE )?(TABLE|VIEW|INDEX|DOMAIN|TYPE|FUNCTION) (?:CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+)/gm;

/** The objects that a file of sql/ creates. */
export function createdBy(sql: string): Named[] {
  return [...sql.matchAll(creates)].map(([, kind = '', name = '']) => ({
    kind: kind.toLowerCase() as Kind,
    name,
  }));
}

/** Tables, views, indexes and sequences share one namespace; types share another, and every table is a type. */
const findStatement = `
  SELECT relname::text AS name, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'i' THEN 'index'
      WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'table' END AS kind
  FROM pg_class WHERE relnamespace = to_regnamespace('{inbox}')
    AND (relname = ANY ($1) OR relname = ANY ($2) AND relkind NOT IN ('i', 'I', 'S'))
  UNION ALL
  SELECT typname::text, 'type' FROM pg_type WHERE typnamespace = to_regnamespace('{inbox}')
    AND typname = ANY ($2) AND typrelid = 0
  UNION ALL
  SELECT DISTINCT proname::text, 'function' FROM pg_proc
  WHERE pronamespace = to_regnamespace('{inbox}') AND proname = ANY ($3)
  ORDER BY 1, 2`;

/**
 * Objects of the team whose name a missing migration needs, e.g. `webhook_events (table)`.
 * @param applied ids of the applied migrations
 */
export async function findNameClashes(
  database: Queryable,
  files: readonly Migration[],
  applied: readonly number[],
): Promise<string[]> {
  const isApplied = ({ id }: Migration) => applied.includes(id);
  const made = (list: readonly Migration[]) => list.flatMap(({ sql }) => createdBy(sql));
  const own = new Set(made(files.filter(isApplied)).map(({ name }) => name));
  const wanted = made(files.filter((file) => file.id !== 0 && !isApplied(file)));
  if (applied.length === 0) wanted.push({ kind: 'table', name: migrationsTable });
  const namesOf = (...kinds: Kind[]) =>
    wanted.filter(({ kind, name }) => kinds.includes(kind) && !own.has(name)).map(({ name }) => name);
  const { rows } = await database.query<{ name: string; kind: string }>(findStatement, [
    namesOf('table', 'view', 'index'),
    namesOf('table', 'view', 'domain', 'type'),
    namesOf('function'),
  ]);
  return rows.map(({ name, kind }) => `${name} (${kind})`);
}
