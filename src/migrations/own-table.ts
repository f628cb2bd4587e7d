// postgres-migrations keeps its list in a table named `migrations`, and mistakes any table of that name, in any schema, for
// its own; many programs have one. This wrapper knows each of its statements, and sends them with our table's name and in our
// schema.
import type { Migration } from './record.ts';
import { migrationsTable } from './record.ts';

/** As `pg` takes them. */
type Statement = string | { text: string; values?: unknown[] };
interface Client {
  query(statement: Statement): Promise<unknown>;
}

const sentAsTheyAre: ReadonlySet<string> = new Set([
  'SELECT pg_try_advisory_lock(-8525285245963000605);',
  'SELECT pg_advisory_unlock(-8525285245963000605);',
  'COMMIT',
  'ROLLBACK',
]);

/** Statements of postgres-migrations 5.3.0 that name its table or begin a migration, and what is sent instead. */
const rewrittenFor = (schema: string, table: string): ReadonlyMap<string, Statement> =>
  new Map([
    [
      `SELECT EXISTS (
  SELECT 1
  FROM   pg_catalog.pg_class c
  WHERE  c.relname = $1
  AND    c.relkind = 'r'
);`,
      `SELECT to_regclass('${table}') IS NOT NULL AS exists`,
    ],
    ['SELECT * FROM migrations ORDER BY id', `SELECT * FROM ${table} ORDER BY id`],
    // The files name no schema. The setting ends with the transaction: the session's search_path stays.
    ['START TRANSACTION', `START TRANSACTION; SET LOCAL search_path TO ${schema}`],
  ]);

const insert = 'INSERT INTO migrations ("id", "name", "hash") VALUES ($1,$2,$3)';
const create = 'CREATE TABLE IF NOT EXISTS migrations (';

/**
 * The client that postgres-migrations gets.
 * @param inbox the schema of our tables
 * @param files as its `loadMigrationFiles` gives them: number 0 is its own and makes the table
 * @throws Error for an unknown statement, before sending it: another version of the package may have other statements
 */
export function withOwnTable<C extends Client>(client: C, files: readonly Migration[], inbox: string): C {
  const schema = `"${inbox}"`;
  const table = `${schema}.${migrationsTable}`;
  const rewritten = rewrittenFor(schema, table);
  const own = new Set(files.filter(({ id }) => id !== 0).map(({ sql }) => sql));
  const rewrite = (statement: Statement): Statement | undefined => {
    const { text, values } = typeof statement === 'string' ? { text: statement } : statement;
    if (text === insert) return { text: text.replace('migrations', table), values: values ?? [] };
    if (rewritten.has(text)) return rewritten.get(text);
    if (values?.length) return undefined;
    if (sentAsTheyAre.has(text) || own.has(text)) return text;
    if (text === files.find(({ id }) => id === 0)?.sql && text.startsWith(create))
      return text.replace('migrations', table);
    return undefined;
  };
  const query = async (statement: Statement) => {
    const known = rewrite(statement);
    if (known !== undefined) return client.query(known);
    const text = typeof statement === 'string' ? statement : statement.text;
    throw new Error(
      `postgres-migrations sent an unknown statement: ${text.slice(0, 200)}; install exactly the version in Postbell's package.json`,
    );
  };
  // postgres-migrations calls nothing else.
  return { query } as unknown as C;
}
