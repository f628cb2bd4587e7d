// The rights that Postgres' user lacks: by name and object, which Postgres' own message does not say.
import { loadMigrationFiles } from 'postgres-migrations';
import type { Queryable } from '../database/database.ts';
import { createdBy } from './clashes.ts';
import { migrationsFolder } from './folder.ts';
import { migrationsTable } from './record.ts';

export interface MissingRights {
  user: string;
  /** `INSERT, UPDATE on the table "public".tombstones`; empty: none is missing. */
  rights: string[];
  /** GRANT statements for the owner or a superuser, one line each. */
  grants: string[];
}

interface Row {
  user: string;
  kind: string;
  object: string;
  rights: string;
}

const schemas = `SELECT oid, quote_ident(nspname) AS schema, nspname FROM pg_namespace
  WHERE oid IN (to_regnamespace('{inbox}'), to_regnamespace('{queue}'))`;

/** The missing rights to run `web`, `worker` and the commands (docs/deploy.md has the GRANTs). Objects that do not exist are left out. */
export async function findMissingRights(database: Queryable): Promise<MissingRights> {
  const files = await loadMigrationFiles(migrationsFolder);
  // Number 0 is the package's own, of a table `migrations`, which a team may have.
  const own = files.filter(({ id }) => id !== 0);
  const tables = own.flatMap(({ sql }) => createdBy(sql)).filter(({ kind }) => kind === 'table');
  const { rows } = await database.query<Row & Record<string, unknown>>({
    text: `
      WITH schemas AS (${schemas}), tables AS (
        SELECT c.oid, schema || '.' || quote_ident(relname) AS object, relname = $2 AS is_record
        FROM pg_class c JOIN schemas ON relnamespace = schemas.oid
        WHERE relkind IN ('r', 'p')
          AND (relnamespace = to_regnamespace('{queue}') OR relname = $2 OR relname = ANY ($1))
      )
      SELECT current_user::text AS user, 'schema' AS kind, schema AS object, 'USAGE' AS rights FROM schemas
      WHERE NOT has_schema_privilege(oid, 'USAGE')
      UNION ALL
      SELECT current_user::text, 'table', object, string_agg(wanted, ', ' ORDER BY position)
      FROM tables, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS w (wanted, position)
      WHERE NOT has_table_privilege(oid, wanted) AND NOT (is_record AND wanted <> 'SELECT')
      GROUP BY object`,
    values: [tables.map(({ name }) => name), migrationsTable],
  });
  return describe(rows);
}

/** The missing rights to migrate: to create the schemas, and tables in them. Postgres lets only the owner change a table. */
export async function findMissingRightsToMigrate(database: Queryable): Promise<MissingRights> {
  const { rows } = await database.query<Row & Record<string, unknown>>(`
    WITH schemas AS (${schemas})
    SELECT current_user::text AS user, 'database' AS kind, quote_ident(current_database()) AS object, 'CREATE' AS rights
    WHERE (SELECT count(*) FROM schemas) < 2 AND NOT has_database_privilege(current_database(), 'CREATE')
    UNION ALL
    SELECT current_user::text, 'schema', schema, string_agg(wanted, ', ' ORDER BY wanted DESC)
    FROM schemas, unnest(ARRAY['USAGE', 'CREATE']) AS w (wanted)
    WHERE NOT has_schema_privilege(oid, wanted) GROUP BY schema`);
  return describe(rows);
}

function describe(rows: readonly Row[]): MissingRights {
  return {
    user: rows[0]?.user ?? '',
    rights: rows.map(({ kind, object, rights }) => `${rights} on the ${kind} ${object}`),
    grants: rows.map(
      ({ user, kind, object, rights }) => `GRANT ${rights} ON ${kind.toUpperCase()} ${object} TO "${user}";`,
    ),
  };
}

/** @returns a sentence with the remedy after `; `; undefined if no right is missing */
export function rightsProblem({ user, rights, grants }: MissingRights): string | undefined {
  if (rights.length === 0) return undefined;
  const shown = 4;
  const more = rights.length > shown ? `, and ${rights.length - shown} more` : '';
  const remedy =
    rights.length > shown ? 'run the GRANTs of docs/deploy.md' : `as their owner run: ${grants.join(' ')}`;
  return `the user ${user} lacks ${rights.slice(0, shown).join(', ')}${more}; ${remedy}`;
}
