// pg-boss's own schema: which version this code needs, which is there, and the way from one to the other.
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' };
import type { Queryable } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { openBoss } from './boss.ts';
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
