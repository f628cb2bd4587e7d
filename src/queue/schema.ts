// pg-boss's own schema: which version this code needs, which is there, and the way from one to the other.
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' };
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { jobs, openBoss, ownQueues } from './boss.ts';
import { applyPolicy, type RetryPolicy } from './policy.ts';

/** Schema version that this code's pg-boss needs; a newer one is accepted. */
export const queueSchemaVersion: number = pgBossPackage.pgboss.schema;

/** Installs or upgrades pg-boss's tables; their schema exists. Safe when many processes do it at once; leaves a newer one alone. */
export async function migrateQueue(database: Database, policy: RetryPolicy, log: Logger): Promise<void> {
  const boss = openBoss(database, log, { supervise: false });
  await boss.start();
  try {
    await applyPolicy(boss, policy);
  } finally {
    await boss.stop({ graceful: false });
  }
}

export async function installedQueueVersion(database: Database, log: Logger): Promise<number | null> {
  const boss = openBoss(database, log, { supervise: false });
  return (await boss.isInstalled()) ? boss.schemaVersion() : null;
}

/**
 * Why the queue's schema cannot be ours, with the remedy; undefined if it can: there is none, it is empty, or it has our
 * queue since an earlier deploy. We share no pg-boss: an upgrade of ours would upgrade it under the other program.
 * @param isFirstDeploy none of our migrations is applied
 */
export async function findQueueClash(
  database: Database,
  isFirstDeploy: boolean,
): Promise<string | undefined> {
  const schema = database.schemas.queue;
  const remedy = 'set POSTBELL_QUEUE_SCHEMA to a schema that no other program uses, e.g. postbell_queue';
  const { rows } = await database.query<{ table: string }>(
    `SELECT relname::text AS table FROM pg_class WHERE relnamespace = to_regnamespace('{queue}')`,
  );
  const tables = new Set(rows.map(({ table }) => table));
  if (tables.size === 0) return undefined;
  if (!tables.has('version')) return `the schema ${schema} is not pg-boss's; ${remedy}`;
  // Before version 10 pg-boss had no table of its queues.
  const queues = tables.has('queue')
    ? (await database.query<{ name: string }>('SELECT name FROM {queue}.queue')).rows.map(({ name }) => name)
    : [];
  if (queues.includes(jobs)) {
    return isFirstDeploy
      ? `the schema ${schema} has the queue of another Postbell, whose tables are not in the schema ${database.schemas.inbox}; set POSTBELL_SCHEMA to the schema of its tables, or ${remedy}; if the queue is a remainder: DROP SCHEMA ${schema} CASCADE`
      : undefined;
  }
  // Another process may be creating our queues at this moment, and an earlier deploy may have ended between two of them.
  if (!isFirstDeploy && queues.every((name) => ownQueues.has(name))) return undefined;
  const { rows: versions } = await database.query<{ version: number }>('SELECT version FROM {queue}.version');
  const version = versions[0]?.version ?? 'none';
  return `the schema ${schema} has the pg-boss of another program (version ${version}; Postbell's is ${queueSchemaVersion}); ${remedy}`;
}
