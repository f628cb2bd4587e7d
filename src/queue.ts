// The only importer of pg-boss: the queue of jobs and the dead-letter queue behind it.
import { PgBoss } from 'pg-boss';
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' };
import type { Config } from './config.ts';
import type { Queryable } from './database/database.ts';
import { describeError } from './errors.ts';
import type { Logger } from './logger.ts';
import { timeOrderedUuid } from './time-ordered-uuid.ts';

const jobs = 'webhooks';
const deadLetters = 'webhooks-dead-letters';

/** Years in seconds: pg-boss deletes jobs that nobody worked after 14 days unless told otherwise. */
const tenYears = 10 * 365 * 86_400;

/** What a job says: which event. Everything else is read from the event's row, which is the truth. */
export interface EventKey {
  source: string;
  eventId: string;
}

/** What is held against an event: attempts whose process ended before they did. */
export interface Suspicion {
  /** Lost while the process had other events in hand, too: any of them may have been the cause. */
  inCompany: number;
  /** Lost while nothing else ran: the event was the cause. */
  alone: number;
}

export interface NewJob extends EventKey {
  jobId: string;
  afterSeconds?: number;
  /** Failures that this job may still have; default: all of MAX_ATTEMPTS. */
  failuresLeft?: number;
  /** Makes it run alone. */
  suspicion?: Suspicion | undefined;
}

/** A job in hand. `id` and `retryCount` name the attempt: once it was lost, settling it does nothing. */
export interface ClaimedJob {
  id: string;
  /** Attempts before this one that failed or were lost. */
  retryCount: number;
  retryLimit: number;
  /** Base of its back-off. */
  retryDelaySeconds: number;
  key: EventKey;
  /** Carried over from the job before it. */
  suspicion: Suspicion | undefined;
}

export interface DeadJob {
  id: string;
  retryCount: number;
  key: EventKey;
  suspicion: Suspicion | undefined;
  /** The job that failed for good. */
  jobId: string | null;
  /** Its attempts, as pg-boss counted them. */
  attempts: number;
  /** pg-boss's own words, e.g. that the heartbeat stopped. */
  output: string;
}

export type RetryPolicy = Pick<
  Config,
  | 'MAX_ATTEMPTS'
  | 'RETRY_DELAY_SECONDS'
  | 'RETRY_DELAY_MAX_SECONDS'
  | 'HEARTBEAT_SECONDS'
  | 'HANDLER_TIMEOUT_SECONDS'
>;

export interface Queue {
  /** Inserts jobs in the transaction `tx`. @throws when one was not inserted: an event without a job must not be. */
  enqueue(tx: Queryable, newJobs: readonly NewJob[]): Promise<void>;
  /** Takes back jobs that `enqueue` inserted in the same transaction. @throws when one was not there */
  withdraw(tx: Queryable, newJobs: readonly Pick<NewJob, 'jobId'>[]): Promise<void>;
  fetch(limit: number): Promise<ClaimedJob[]>;
  /**
   * Takes jobs of settled events out of the queue; one whose claim was lost stays. They are deleted: the event's row is
   * the record, and a completed job would be written once more, indexed three times and deleted an hour later.
   */
  complete(claimed: readonly Attempt[]): Promise<void>;
  /** Charges a failure in `tx`: a retry with back-off, or, when none is left, the dead-letter queue. False if the claim was lost. */
  fail(tx: Queryable, claimed: Attempt, reason: string): Promise<boolean>;
  /** Completes in `tx`; false if the claim was lost. */
  completeIn(tx: Queryable, claimed: Attempt): Promise<boolean>;
  /** The same for many. @returns how many claims were not lost */
  completeManyIn(tx: Queryable, claimed: readonly Attempt[]): Promise<number>;
  /** Tells that these are still being worked on. */
  touch(claimed: readonly Attempt[]): Promise<void>;
  fetchDead(limit: number): Promise<DeadJob[]>;
  completeDead(tx: Queryable, dead: readonly Attempt[]): Promise<void>;
  /** Creates or updates both queues to the retry policy. */
  applyPolicy(policy: RetryPolicy): Promise<void>;
  /** Which of these jobs are still to be run, or wait in the dead-letter queue for their verdict. */
  livingJobs(jobIds: readonly string[]): Promise<Set<string>>;
  stop(): Promise<void>;
}

type JobData = EventKey & { suspicion?: Suspicion };
type Attempt = Pick<ClaimedJob, 'id' | 'retryCount'>;

/** In order of time: at random places in a million jobs, each would write a page of the primary key of its own. */
export function newJobId(): string {
  return timeOrderedUuid();
}

/** Schema version that this code's pg-boss needs; a newer one is accepted. */
export const queueSchemaVersion: number = pgBossPackage.pgboss.schema;

// pg-boss speaks plain SQL to whatever runs it: our pool, so that a process has one, or our transaction.
function bridge(queryable: Queryable, isPrepared = false) {
  return {
    executeSql: async (text: string, values?: unknown[]) => {
      const name = isPrepared ? statementName(text) : undefined;
      return queryable.query({ text, ...(values ? { values } : {}), ...(name ? { name } : {}) });
    },
  };
}

// The few statements of the hot path, prepared once per connection. Bounded: fetch's text varies with its limit.
const statementNames = new Map<string, string>();
function statementName(text: string): string | undefined {
  const known = statementNames.get(text);
  if (known || statementNames.size >= 30) return known;
  const name = `pgboss_${statementNames.size}`;
  statementNames.set(text, name);
  return name;
}

function openBoss(
  database: Queryable,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
) {
  const boss = new PgBoss({
    db: bridge(database),
    supervise: options.supervise,
    schedule: false,
    registerInstance: false,
    monitorVacuum: options.supervise,
    // webhook_backlog tells about the backlog; a burst is what this is made for.
    warningQueueSize: 1_000_000,
    // Whether the schema is new enough is checked before; `true` accepts a newer one, `false` wants equality.
    migrate: true,
    ...(options.superviseSeconds
      ? {
          superviseIntervalSeconds: options.superviseSeconds,
          monitorIntervalSeconds: options.superviseSeconds,
        }
      : {}),
  });
  boss.on('error', (error) => log.error({ error: describeError(error).text }, 'pg-boss reported an error'));
  boss.on('warning', (warning) => log.warn({ warning: warning.message }, 'pg-boss reported a warning'));
  return boss;
}

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

/**
 * @param options.supervise true in workers: looks for jobs whose worker died, and dead-letters them
 */
export async function openQueue(
  database: Queryable,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
): Promise<Queue> {
  const boss = openBoss(database, log, options);
  await boss.start();
  const pooled = bridge(database, true);

  return {
    enqueue: async (tx, newJobs) => {
      if (newJobs.length === 0) return;
      const inserted = await boss.insert(
        jobs,
        newJobs.map((job) => ({
          id: job.jobId,
          data: {
            source: job.source,
            eventId: job.eventId,
            ...(job.suspicion ? { suspicion: job.suspicion } : {}),
          },
          ...(job.afterSeconds === undefined ? {} : { startAfter: job.afterSeconds }),
          ...(job.failuresLeft === undefined ? {} : { retryLimit: Math.max(0, job.failuresLeft - 1) }),
        })),
        { db: bridge(tx, true), returnId: true },
      );
      if (inserted?.length !== newJobs.length) {
        throw new Error(`pg-boss inserted ${inserted?.length ?? 0} of ${newJobs.length} jobs`);
      }
    },
    withdraw: async (tx, newJobs) => {
      if (newJobs.length === 0) return;
      const ids = newJobs.map((job) => job.jobId);
      const count = affected(await boss.deleteJob(jobs, ids, { db: bridge(tx, true) }));
      if (count !== ids.length) throw new Error(`pg-boss deleted ${count} of ${ids.length} jobs`);
    },
    fetch: async (limit) => {
      const fetched = await boss.fetch<JobData>(jobs, {
        batchSize: limit,
        includeMetadata: true,
        db: pooled,
      });
      return fetched.map((job) => ({
        id: job.id,
        retryCount: job.retryCount,
        retryLimit: job.retryLimit,
        retryDelaySeconds: job.retryDelay,
        ...readData(job.data),
      }));
    },
    complete: async (claimed) => {
      await boss.deleteJob(jobs, claimed.map(attemptOf), { db: pooled });
    },
    completeIn: async (tx, claimed) => {
      return affected(await boss.deleteJob(jobs, attemptOf(claimed), { db: bridge(tx, true) })) > 0;
    },
    completeManyIn: async (tx, claimed) => {
      return affected(await boss.deleteJob(jobs, claimed.map(attemptOf), { db: bridge(tx, true) }));
    },
    fail: async (tx, claimed, reason) => {
      return affected(await boss.fail(jobs, attemptOf(claimed), { reason }, { db: bridge(tx) })) > 0;
    },
    touch: async (claimed) => {
      await boss.touch(jobs, claimed.map(attemptOf));
    },
    fetchDead: async (limit) => {
      const fetched = await boss.fetch<JobData>(deadLetters, { batchSize: limit, includeMetadata: true });
      return fetched.map((job) => ({
        id: job.id,
        retryCount: job.retryCount,
        ...readData(job.data),
        jobId: job.sourceId,
        attempts: (job.sourceRetryCount ?? 0) + 1,
        output: outputText(job.sourceOutput),
      }));
    },
    completeDead: async (tx, dead) => {
      await boss.complete(deadLetters, dead.map(attemptOf), null, { db: bridge(tx) });
    },
    applyPolicy: (policy) => applyPolicy(boss, policy),
    livingJobs: async (jobIds) => {
      const { rows } = await database.query<{ id: string }>({
        // pg-boss has no call that asks for many ids at once; a test holds these four columns in place.
        text: `
          SELECT id FROM pgboss.job WHERE name = $1 AND id = ANY($2::uuid[]) AND state < 'completed'
          UNION ALL
          SELECT source_id FROM pgboss.job WHERE name = $3 AND state < 'completed' AND source_id = ANY($2::uuid[])`,
        values: [jobs, jobIds, deadLetters],
      });
      return new Set(rows.map((row) => row.id));
    },
    stop: () => boss.stop({ graceful: false }),
  };
}

function attemptOf({ id, retryCount }: Attempt): Attempt {
  return { id, retryCount };
}

/** A job that somebody else put in may say anything: it names no event then, and must not stop those beside it. */
function readData(data: Partial<JobData> | null): Pick<ClaimedJob, 'key' | 'suspicion'> {
  const { source, eventId, suspicion } = data ?? {};
  if (typeof source !== 'string' || typeof eventId !== 'string') {
    return { key: { source: '', eventId: '' }, suspicion: undefined };
  }
  return { key: { source, eventId }, suspicion };
}

function affected(response: object): number {
  return (response as { affected: number }).affected;
}

function outputText(output: object | null): string {
  const { reason, value, message } = (output ?? {}) as Record<string, unknown>;
  // The supervisor wraps its own: { value: { message } }.
  const inner = (value as { message?: unknown } | null)?.message;
  const text = [reason, message, inner, value].find((part) => typeof part === 'string');
  return text ? String(text) : 'its worker stopped without a word';
}

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

async function applyPolicy(boss: PgBoss, policy: RetryPolicy): Promise<void> {
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
