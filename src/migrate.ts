// Brings a database to the schema this code needs: ours from sql/, then pg-boss's own.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { migrate as runMigrations } from 'postgres-migrations';
import type { Database } from './database/database.ts';
import { openDatabase } from './database/open-database.ts';
import { sqlState } from './errors.ts';
import type { Logger } from './logger.ts';
import type { RetryPolicy } from './queue/policy.ts';
import { installedQueueVersion, migrateQueue, queueSchemaVersion } from './queue/schema.ts';

const migrationsFolder = fileURLToPath(new URL('../sql', import.meta.url));

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
    const applied = await database.withClient(async (client) => {
      // Without it, a migration that waits for a lock makes every query behind it wait too.
      await client.query(`SET lock_timeout = '5s'`);
      return runMigrations({ client }, migrationsFolder, { logger: (message) => log.debug(message) });
    });
    await migrateQueue(database, options.policy, log);
    if (options.tablesFile) await applyTables(database, readFileSync(options.tablesFile, 'utf8'));
    return {
      applied: applied.map((migration) => migration.name),
      state: await readSchemaState(database, log),
    };
  } finally {
    await database.close();
  }
}

// CREATE … IF NOT EXISTS by two processes at once can still clash on the catalogue; one at a time.
async function applyTables(database: Database, sql: string): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('postbell tables', 0))`);
    await tx.query(sql);
  });
}

export async function readSchemaState(database: Database, log: Logger): Promise<SchemaState> {
  const installed = await database
    .query<{ id: number | null }>('SELECT max(id) AS id FROM migrations')
    .then(({ rows }) => rows[0]?.id ?? 0)
    .catch((error: unknown) => {
      if (sqlState(error) === '42P01') return 0; // no table yet: nothing was applied
      throw error;
    });
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
