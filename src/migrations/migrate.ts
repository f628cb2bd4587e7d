// Brings a database to the schema this code needs: ours from sql/, then pg-boss's own.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadMigrationFiles, migrate as runMigrations } from 'postgres-migrations';
import type { Database, Queryable } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { CommandError, sqlState } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { RetryPolicy } from '../queue/policy.ts';
import { findQueueClash, installedQueueVersion, migrateQueue, queueSchemaVersion } from '../queue/schema.ts';
import { findNameClashes } from './clashes.ts';
import { withOwnTable } from './own-table.ts';
import { readApplied, readNewestApplied, renameFormerRecord } from './record.ts';

const migrationsFolder = fileURLToPath(new URL('../../sql', import.meta.url));

/** The newest migration in sql/. */
export const schemaVersion: number = Math.max(
  ...readdirSync(migrationsFolder)
    .map((name) => Number.parseInt(name, 10))
    .filter(Number.isInteger),
);

export interface SchemaState {
  /** Newest applied migration of ours; 0 when there is none. */
  installed: number;
  needed: number;
  /** null when pg-boss is not installed. */
  queueInstalled: number | null;
  queueNeeded: number;
}

/**
 * Applies what is missing; does nothing when all is there or newer. Safe when 20 processes do it at once.
 * @throws CommandError before the first statement, with the remedy, where things of the team's own are in the way
 * @param options.databaseUrl a direct connection, not a transaction pooler: advisory locks are held
 * @param options.tablesFile SQL of the team's handlers, idempotent, run last
 */
export async function migrateDatabase(options: {
  databaseUrl: string;
  policy: RetryPolicy;
  log: Logger;
  acceptSelfSigned?: boolean;
  tablesFile?: string;
}): Promise<{ applied: string[]; state: SchemaState }> {
  const { log } = options;
  const database = openDatabase({
    url: options.databaseUrl,
    applicationName: 'postbell migrate',
    maxConnections: 1,
    timeoutMs: 600_000,
    // No request waits for its answer, and a failed release phase is a failed deploy.
    connectTimeoutMs: 15_000,
    ...(options.acceptSelfSigned ? { acceptSelfSigned: true } : {}),
    log,
  });
  try {
    const files = await loadMigrationFiles(migrationsFolder);
    const applied = await database.withClient(async (client) => {
      await lockMigrations(client);
      // Without it, a migration that waits for a lock makes every query behind it wait too.
      await client.query(`SET lock_timeout = '5s'`);
      const clashes = await findSchemaClashes(database);
      if (clashes.length) throw new CommandError(`nothing was migrated:\n${clashes.join('\n')}`);
      if ((await readApplied(database, files)).isFormer) await renameFormerRecord(database);
      return runMigrations({ client: withOwnTable(client, files) }, migrationsFolder, {
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

// CREATE … IF NOT EXISTS by two processes at once can still clash on the catalogue; one at a time.
async function applyTables(database: Database, file: string): Promise<void> {
  const sql = readFileSync(file, 'utf8');
  await database.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('postbell tables', 0))`);
    await tx.query(sql).catch((error: unknown) => {
      throw tablesFileProblem(file, sql, error);
    });
  });
}

/** With Postgres' own words and the line: the file is the team's and holds no customer's values. */
function tablesFileProblem(file: string, sql: string, error: unknown): unknown {
  const code = sqlState(error);
  if (code === undefined) return error;
  const { message, position } = error as Error & { position?: string };
  const line = position ? `, line ${sql.slice(0, Number(position)).split('\n').length}` : '';
  return new CommandError(`${file}${line}: ${message} (SQLSTATE ${code})`);
}

/** postgres-migrations' own lock, until the connection ends: what is looked for before must still be true then. */
async function lockMigrations(client: Queryable): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ isLocked: boolean }>(
      'SELECT pg_try_advisory_lock(-8525285245963000605) AS "isLocked"',
    );
    if (rows[0]?.isLocked) return;
    await delay(200); // a statement that waits would hold up CREATE INDEX CONCURRENTLY
  }
}

/** The team's own objects that clash with `migrate`, each with the remedy; empty without a clash. */
export async function findSchemaClashes(database: Queryable): Promise<string[]> {
  const files = await loadMigrationFiles(migrationsFolder);
  const { ids } = await readApplied(database, files);
  const names = await findNameClashes(database, files, ids);
  const queueClash = await findQueueClash(database);
  return [
    ...(names.length
      ? [
          `Postbell did not make these, and needs their names: ${names.join(', ')}; rename them, or give Postbell a database of its own`,
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

/** Why this code cannot run on that schema, with the remedy; undefined when it can. A newer schema is fine. */
export function schemaProblem(state: SchemaState): string | undefined {
  if (state.installed < state.needed) {
    return `the database has schema version ${state.installed}, this code needs ${state.needed}; run: postbell migrate`;
  }
  if (state.queueInstalled === null || state.queueInstalled < state.queueNeeded) {
    return `pg-boss's schema is at version ${state.queueInstalled ?? 'none'}, this code needs ${state.queueNeeded}; run: postbell migrate`;
  }
  return undefined;
}
