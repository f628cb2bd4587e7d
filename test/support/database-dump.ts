// Looks for a text in every column of every table of a database: pg-boss's tables too, and bytes as well.
import type { Inbox } from './inbox.ts';

/** The rows that hold the text in any form: as text in any case, in JSON, as bytes. Each as `table: row`. */
export async function rowsWith({ sql }: Pick<Inbox, 'sql'>, text: string): Promise<string[]> {
  const tables = await sql(`SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1`);
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await sql(
      `SELECT left(t::text, 300) AS row FROM ${name} t
       WHERE strpos(lower(t::text), lower($1)) > 0 OR strpos(t::text, $2) > 0`,
      [text, Buffer.from(text).toString('hex')],
    );
    found.push(...rows.map(({ row }) => `${name}: ${row}`));
  }
  return found;
}
