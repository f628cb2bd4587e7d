// Builds the statement that copies a table's one row many times, whatever columns the table has.
import type { Query } from '../machine/postgres.ts';

/** Inserts copies number `from` to `to`. */
export type CopyStatement = (from: number, to: number) => string;

/**
 * @param set SQL of the columns that must differ; `n` numbers the copies, `pattern` is the row that is copied
 */
export async function copyRows(
  query: Query,
  table: string,
  set: Readonly<Record<string, string>>,
): Promise<CopyStatement> {
  const columns = await query<{ name: string }>(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'`,
    [table],
  );
  const names = columns.map(({ name }) => name);
  const pattern = `pattern_of_${table.replaceAll('.', '_')}`;
  await query(`CREATE UNLOGGED TABLE IF NOT EXISTS ${pattern} AS SELECT * FROM ${table} LIMIT 1`);
  return (from, to) => `
    INSERT INTO ${table} (${names.join(', ')})
    SELECT ${names.map((name) => set[name] ?? `pattern.${name}`).join(', ')}
    FROM ${pattern} AS pattern, generate_series(${from}::bigint, ${to}::bigint) AS n`;
}
