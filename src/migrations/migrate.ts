// Updates a database to the schema that this code needs: our migrations from sql/, then pg-boss's.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { loadMigrationFiles, migrate as runMigrations } from 'postgres-migrations';
import type { Database, Queryable } from '../database/database.ts';
import { ensureSchema } from '../database/ensure-schema.ts';
import { openDatabase } from '../database/open-database.ts';
import type { Schemas } from '../database/schemas.ts';
import { CommandError, sqlState } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { RetryPolicy } from '../queue/policy.ts';
import { findQueueClash, installedQueueVersion, migrateQueue, queueSchemaVersion } from '../queue/schema.ts';
import { findNameClashes } from './clashes.ts';
import { migrationsFolder } from './folder.ts';
import { withOwnTable } from './own-table.ts';
import { readApplied, readNewestApplied, renameFormerRecord } from './record.ts';
import { findMissingRightsToMigrate, rightsProblem } from './rights.ts';

/** The newest migration in sql/. */
export const schemaVersion: number = Math.max(
  ...readdirSync(migrationsFolder)
    .map((name) => Number.parseInt(name, 10))
    .filter(Number.isInteger),
);

export interface SchemaState {
  /** Newest applied migration of sql/; 0 when none is applied. */
  installed: number;
  needed: number;
  /** null when pg-boss is not installed. */
  queueInstalled: number | null;
  queueNeeded: number;
}

/**
 * Applies the missing migrations; does nothing if the schema is current or newer. Several processes may run it at once.
 * @throws CommandError before the first statement, with the remedy, if the team's own objects clash
 * @param options.databaseUrl a direct connection, not a transaction pooler: advisory locks are held
 * @param options.tablesFile SQL of the team's handlers, idempotent, run last
 */
export async function migrateDatabase(options: {
  databaseUrl: string;
  policy: RetryPolicy;
  log: Logger;
  /** Default: `public` and `pgboss`. */
  schemas?: Schemas;
  acceptSelfSigned?: boolean;
  tablesFile?: string;
}): Promise<{ applied: string[]; state: SchemaState }> {
  const { log } = options;
  const database = openDatabase({
    url: options.databaseUrl,
    applicationName: 'postbell migrate',
    maxConnections: 1,
    timeoutMs: 600_000,
    // Patient: no request waits for it, and a failed release phase is a failed deploy.
    connectTimeoutMs: 15_000,
    ...(options.schemas ? { schemas: options.schemas } : {}),
    ...(options.acceptSelfSigned ? { acceptSelfSigned: true } : {}),
    log,
  });
  try {
    const files = await loadMigrationFiles(migrationsFolder);
    const applied = await database.withClient(async (client) => {
      await lockMigrations(client);
      // A migration that waits for a lock makes later queries wait as well: bound the wait.
      await client.query(`SET lock_timeout = '5s'`);
      const missing = rightsProblem(await findMissingRightsToMigrate(database));
      if (missing && !(await isMigrated(database, log)))
        throw new CommandError(`nothing was migrated: ${missing}`);
      const clashes = await findSchemaClashes(database);
      if (clashes.length) throw new CommandError(`nothing was migrated:\n${clashes.join('\n')}`);
      if ((await readApplied(database, files)).isFormer) await renameFormerRecord(database);
      await ensureSchema(database, '{inbox}');
      await ensureSchema(database, '{queue}');
      const ownClient = withOwnTable(client, files, database.schemas.inbox);
      return runMigrations({ client: ownClient }, migrationsFolder, {
        logger: (message) => log.debug(message),
      });
    });
    await migrateQueue(database, options.policy, log);
    if (options.tablesFile) await applyTables(database, options.tablesFile);
    return {
      applied: applied.map((migration) => migration.name),
      state: await readSchemaState(database, log),
    };
  } finally {
    await database.close();
  }
}

/** False as well if the user may not read the schema. */
async function isMigrated(database: Database, log: Logger): Promise<boolean> {
  try {
    return schemaProblem(await readSchemaState(database, log)) === undefined;
  } catch (error) {
    if (sqlState(error) === '42501') return false;
    throw error;
  }
}

// Processes take turns: two concurrent CREATE … IF NOT EXISTS can fail on the catalogue.
async function applyTables(database: Database, file: string): Promise<void> {
  const sql = readFileSync(file, 'utf8');
  await database.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('{postbell} tables', 0))`);
    await tx.query({ text: sql, isVerbatim: true }).catch((error: unknown) => {
      throw tablesFileProblem(file, sql, error);
    });
  });
}

/** Quotes Postgres' message and the line: the file is the team's and contains no customer data. */
function tablesFileProblem(file: string, sql: string, error: unknown): unknown {
  const code = sqlState(error);
  if (code === undefined) return error;
  const { message, position } = error as Error & { position?: string };
  const line = position ? `, line ${sql.slice(0, Number(position)).split('\n').length}` : '';
  return new CommandError(`${file}${line}: ${message} (SQLSTATE ${code})`);
}

/** Takes postgres-migrations' lock until the connection ends, so that the checks still hold while migrations run. */
async function lockMigrations(client: Queryable): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ isLocked: boolean }>(
      'SELECT pg_try_advisory_lock(-8525285245963000605) AS "isLocked"',
    );
    if (rows[0]?.isLocked) return;
    await delay(200); // a statement that waits for the lock would block CREATE INDEX CONCURRENTLY
  }
}

/** The team's own objects that clash with `migrate`, each with the remedy; empty without a clash. */
export async function findSchemaClashes(database: Database): Promise<string[]> {
  const files = await loadMigrationFiles(migrationsFolder);
  const { ids } = await readApplied(database, files);
  const names = await findNameClashes(database, files, ids);
  const queueClash = await findQueueClash(database, ids.length === 0);
  return [
    ...(names.length
      ? [
          `the database has objects that Postbell did not create, with names that Postbell needs: ${names.join(', ')}; set POSTBELL_SCHEMA to a schema of Postbell's own, e.g. postbell, or rename them`,
        ]
      : []),
    ...(queueClash ? [queueClash] : []),
  ];
}

export async function readSchemaState(database: Database, log: Logger): Promise<SchemaState> {
  const installed = await readNewestApplied(database);
  const queueInstalled = await installedQueueVersion(database, log);
  return { installed, needed: schemaVersion, queueInstalled, queueNeeded: queueSchemaVersion };
}

/** @returns why this code cannot run on the schema, with the remedy; undefined when it can, also on a newer schema */
export function schemaProblem(state: SchemaState): string | undefined {
  if (state.installed < state.needed) {
    return `the database has schema version ${state.installed}, this code needs ${state.needed}; run: postbell migrate`;
  }
  if (state.queueInstalled === null || state.queueInstalled < state.queueNeeded) {
    return `pg-boss's schema is at version ${state.queueInstalled ?? 'none'}, this code needs ${state.queueNeeded}; run: postbell migrate`;
  }
  return undefined;
}
