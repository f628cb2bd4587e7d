// pg-boss's own schema: which version this code needs, which is there, and the way from one to the other.
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' };
import type { Queryable } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { deadLetters, jobs, openBoss } from './boss.ts';
import { applyPolicy, type RetryPolicy } from './policy.ts';

/** Schema version that this code's pg-boss needs; a newer one is accepted. */
export const queueSchemaVersion: number = pgBossPackage.pgboss.schema;

/** Installs or upgrades pg-boss's own schema. Safe when many processes do it at once; leaves a newer one alone. */
export async function migrateQueue(database: Queryable, policy: RetryPolicy, log: Logger): Promise<void> {
  const boss = openBoss(database, log, { supervise: false });
  await boss.start();
  try {
    await applyPolicy(boss, policy);
  } finally {
    await boss.stop({ graceful: false });
  }
}

export async function installedQueueVersion(database: Queryable, log: Logger): Promise<number | null> {
  const boss = openBoss(database, log, { supervise: false });
  return (await boss.isInstalled()) ? boss.schemaVersion() : null;
}

const schema = 'pgboss';

/**
 * Why pg-boss's schema cannot be ours, with the remedy; undefined when it can: none, an empty one, ours, or one of a
 * team whose pg-boss has our version, with which we share it.
 */
export async function findQueueClash(database: Queryable): Promise<string | undefined> {
  const { rows } = await database.query<{ table: string }>(
    `SELECT relname::text AS table FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)`,
    [schema],
  );
  const tables = new Set(rows.map(({ table }) => table));
  if (tables.size === 0) return undefined;
  if (!tables.has('version')) {
    return `the schema ${schema} is not pg-boss's; rename it, or give Postbell a database of its own`;
  }
  const installed = await database.query<{ version: number }>(`SELECT version FROM ${schema}.version`);
  const version = installed.rows[0]?.version;
  // Before version 10 pg-boss had no table of its queues.
  const queues = tables.has('queue')
    ? (await database.query<{ name: string }>(`SELECT name FROM ${schema}.queue`)).rows
    : [];
  const isOurs = queues.some(({ name }) => name === jobs);
  const isShared = queues.some(({ name }) => name !== jobs && name !== deadLetters);
  if (version === undefined || version === queueSchemaVersion || (isOurs && !isShared)) return undefined;
  if (version > queueSchemaVersion && isOurs) return undefined;
  const found = `the schema ${schema} is another program's: its pg-boss has version ${version}, Postbell's ${queueSchemaVersion}`;
  const way = 'or give Postbell a database of its own';
  return version < queueSchemaVersion
    ? `${found} and would upgrade it under that program; upgrade that one's pg-boss first, ${way}`
    : `${found}; look for a Postbell with that version (upgrade it), ${way}`;
}
