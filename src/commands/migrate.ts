// `postbell migrate`: updates the database to the schema that this code needs. Runs in a platform's release phase.
import type { Environment } from '../config.ts';
import { migrateDatabase } from '../migrations/migrate.ts';
import { tablesFileOf } from '../migrations/tables-file.ts';
import { acceptsSelfSigned, schemasOf } from '../runtime/connection.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { commandLogger } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';

export interface Migration {
  /** Names of the migrations. */
  applied: string[];
  schema: number;
  queueSchema: number;
}

/**
 * Applies Postbell's migrations, pg-boss's, and `tables.sql` beside the handlers if it exists.
 * @throws ConfigError, CommandError
 */
export async function runMigrate(env: Environment, folder = process.cwd()): Promise<Migration> {
  const { config, databaseUrl } = loadConnectedSettings(env);
  const tablesFile = tablesFileOf(config, folder);
  const { applied, state } = await migrateDatabase({
    databaseUrl,
    policy: config,
    log: commandLogger(config, 'migrate'),
    schemas: schemasOf(config),
    acceptSelfSigned: acceptsSelfSigned(config, databaseUrl),
    ...(tablesFile ? { tablesFile } : {}),
  });
  return { applied, schema: state.installed, queueSchema: state.queueInstalled ?? 0 };
}

export async function runMigrateVerb(io: CommandIo, { json }: CommonOptions): Promise<number> {
  const result = await runMigrate(io.env, io.folder);
  if (json) {
    printJson(io.out, result);
    return 0;
  }
  for (const name of result.applied) printLine(io.out, `applied ${name}`);
  const outcome = result.applied.length > 0 ? 'migrated' : 'nothing to do';
  printLine(io.out, `${outcome}: schema version ${result.schema}, pg-boss ${result.queueSchema}`);
  return 0;
}
