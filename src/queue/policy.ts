// The retry policy, kept in the database with the queue: every worker applies the one it was started with.
import type { PgBoss } from 'pg-boss';
import type { Config } from '../config.ts';
import type { Queryable } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { deadLetters, jobs, openBoss } from './boss.ts';

export type RetryPolicy = Pick<
  Config,
  | 'MAX_ATTEMPTS'
  | 'RETRY_DELAY_SECONDS'
  | 'RETRY_DELAY_MAX_SECONDS'
  | 'HEARTBEAT_SECONDS'
  | 'HANDLER_TIMEOUT_SECONDS'
>;

/** Years in seconds: pg-boss deletes jobs that nobody worked after 14 days unless told otherwise. */
const tenYears = 10 * 365 * 86_400;

const retention = { retentionSeconds: tenYears, deleteAfterSeconds: 3_600 };

function optionsOf(policy: RetryPolicy) {
  return {
    ...retention,
    // Five failures are four retries.
    retryLimit: policy.MAX_ATTEMPTS - 1,
    retryDelay: policy.RETRY_DELAY_SECONDS,
    retryBackoff: true,
    retryDelayMax: policy.RETRY_DELAY_MAX_SECONDS,
    heartbeatSeconds: policy.HEARTBEAT_SECONDS,
    // Only a backstop: the worker itself ends an attempt at HANDLER_TIMEOUT_SECONDS, the heartbeat finds a dead one.
    expireInSeconds: Math.min(86_399, policy.HANDLER_TIMEOUT_SECONDS * 2 + 60),
    deadLetter: deadLetters,
  };
}

/** Creates or updates both queues. */
export async function applyPolicy(boss: PgBoss, policy: RetryPolicy): Promise<void> {
  const deadOptions = { ...retention, retryLimit: 1_000_000, retryDelay: 5, expireInSeconds: 60 };
  const options = optionsOf(policy);
  const existing = new Set((await boss.getQueues([jobs, deadLetters])).map((queue) => queue.name));
  if (existing.has(deadLetters)) await boss.updateQueue(deadLetters, deadOptions);
  else await boss.createQueue(deadLetters, deadOptions);
  if (existing.has(jobs)) await boss.updateQueue(jobs, options);
  else await boss.createQueue(jobs, options);
}

/** Where the queue in the database is not as the settings want it, e.g. `retryLimit 4 instead of 2`. */
export async function differencesFromPolicy(
  database: Queryable,
  policy: RetryPolicy,
  log: Logger,
): Promise<string[]> {
  const boss = openBoss(database, log, { supervise: false });
  const [queue] = await boss.getQueues([jobs]);
  if (!queue) return ['there is no queue'];
  const actual = queue as unknown as Record<string, unknown>;
  return Object.entries(optionsOf(policy))
    .filter(([name, wanted]) => actual[name] !== wanted)
    .map(([name, wanted]) => `${name} ${actual[name]} instead of ${wanted}`);
}
