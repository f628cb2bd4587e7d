// Asks before dev migrates a database that dev did not create: users forget an exported DATABASE_URL.
import { readFileSync } from 'node:fs';
import type { Queryable } from '../database/database.ts';
import { readSchemaState, schemaProblem } from '../migrations/migrate.ts';
import { tablesFileOf } from '../migrations/tables-file.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo } from '../terminal/io.ts';

/**
 * Does not ask if the database has the schema of this version, and the schemas that tables.sql creates.
 * @throws CommandError without a terminal, or if the answer is no
 */
export async function confirmMigration(io: CommandIo): Promise<void> {
  const found = await withDatabase(io.env, 'dev', async ({ database, config, log }) => {
    const { rows } = await database.query<{ name: string }>('SELECT current_database() AS name');
    const tablesFile = tablesFileOf(config, io.folder);
    const isMigrated =
      schemaProblem(await readSchemaState(database, log)) === undefined &&
      (!tablesFile || (await hasSchemas(database, tablesFile)));
    return { name: rows[0]?.name, schemas: database.schemas, tablesFile, isMigrated };
  });
  if (found.isMigrated) return;
  const tables = found.tablesFile ? ` and runs ${found.tablesFile}` : '';
  const { inbox, queue } = found.schemas;
  const plan = `DATABASE_URL names the database ${found.name}, which dev did not create. dev creates Postbell's tables (schema ${inbox}) and pg-boss's (schema ${queue}) in ${found.name}${tables}`;
  await confirm(io, {
    question: `${plan}.\nMigrate ${found.name}?`,
    rejection: `${plan}; add --yes to agree, or unset DATABASE_URL to use dev's embedded Postgres`,
    declined: "nothing was migrated; unset DATABASE_URL to use dev's embedded Postgres",
  });
}

async function hasSchemas(database: Queryable, tablesFile: string): Promise<boolean> {
  const made = readFileSync(tablesFile, 'utf8').matchAll(/^CREATE SCHEMA IF NOT EXISTS (\w+)/gim);
  const { rows } = await database.query(
    'SELECT FROM unnest($1::text[]) AS name WHERE to_regnamespace(name) IS NULL',
    [[...made].map(([, name]) => name)],
  );
  return rows.length === 0;
}
