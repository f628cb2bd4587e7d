// The queues' settings, kept in the database: every worker applies those that it was started with.
import type { PgBoss } from 'pg-boss';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { deadLetters, isolatedJobs, jobs, limitedJobs, openBoss, pausedJobs } from './boss.ts';

export type RetryPolicy = Pick<Config, 'MAX_ATTEMPTS' | 'HEARTBEAT_SECONDS'>;

/** Years in seconds: pg-boss deletes jobs that nobody worked after 14 days unless told otherwise. */
const tenYears = 10 * 365 * 86_400;
const retention = { retentionSeconds: tenYears, deleteAfterSeconds: 3_600 };
/** Just below pg-boss's limit of 24 h. The heartbeat finds dead workers; the worker itself ends a slow handler. */
const expireInSeconds = 86_399;

/** Without a delay after a loss: whoever fetches the job next decides when its events run again. */
function jobOptions(policy: RetryPolicy, retryLimit: number) {
  return {
    ...retention,
    retryLimit,
    retryDelay: 0,
    retryBackoff: false,
    heartbeatSeconds: policy.HEARTBEAT_SECONDS,
    expireInSeconds,
    deadLetter: deadLetters,
  };
}

/** A shared job never fails: after a loss it is split. */
const sharedRetryLimit = 10;
const deadOptions = { ...retention, retryLimit: 1_000_000, retryDelay: 5, expireInSeconds: 60 };

/** In the order of creation: a queue's dead-letter queue comes first. */
function queueOptions(policy: RetryPolicy): [name: string, options: object][] {
  return [
    [deadLetters, deadOptions],
    [jobs, jobOptions(policy, sharedRetryLimit)],
    // Each loss of an isolated job is a failure of its event, and five failures are four retries.
    [isolatedJobs, jobOptions(policy, policy.MAX_ATTEMPTS - 1)],
    [pausedJobs, jobOptions(policy, sharedRetryLimit)],
    [limitedJobs, jobOptions(policy, sharedRetryLimit)],
  ];
}

/** Creates the queues, or updates them. */
export async function applyPolicy(boss: PgBoss, policy: RetryPolicy): Promise<void> {
  const wanted = queueOptions(policy);
  const existing = new Set((await boss.getQueues(wanted.map(([name]) => name))).map((queue) => queue.name));
  for (const [name, options] of wanted) {
    if (existing.has(name)) await boss.updateQueue(name, options);
    else await boss.createQueue(name, options);
  }
}

/** Where the queues in the database differ from the settings, e.g. `webhooks: retryLimit 4 instead of 2`. */
export async function differencesFromPolicy(
  database: Database,
  policy: RetryPolicy,
  log: Logger,
): Promise<string[]> {
  const boss = openBoss(database, log, { supervise: false });
  const wanted = queueOptions(policy);
  const queues = await boss.getQueues(wanted.map(([name]) => name));
  return wanted.flatMap(([name, options]) => {
    const actual = queues.find((queue) => queue.name === name) as Record<string, unknown> | undefined;
    if (!actual) return [`there is no queue ${name}`];
    return Object.entries(options)
      .filter(([option, value]) => actual[option] !== value)
      .map(([option, value]) => `${name}: ${option} ${actual[option]} instead of ${value}`);
  });
}
