// The queue on pg-boss: each call in pg-boss's words.
import type { JobWithMetadata } from 'pg-boss';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { bridge, deadLetters, isolatedJobs, jobs, limitedJobs, openBoss, pausedJobs } from './boss.ts';
import { countLanes, freeLanes, giveLane, tryLockLaneCounts } from './lanes.ts';
import { lockResumed } from './paused-jobs.ts';
import { applyPolicy } from './policy.ts';
import type { EventKey, FetchedJob, NewJob, Queue } from './queue.ts';
import { createQueueStatistics } from './statistics.ts';

/** The events of a job as `[source, event id]`. Version 0.1 wrote one event: `{ source, eventId }`. */
interface JobData {
  events: [string, string][];
  hasUnchargedLoss?: true;
  /** Of a paused job: the pauses that hold it. */
  pauses?: readonly number[];
  /** Of a paused job: it was an isolated one. */
  isIsolated?: true;
}

const unlimited = 1_000_000;

/** A handler must not start on a claim that a crash of Postgres takes back: two workers would run the event. */
const claimSettings = { synchronous_commit: 'local' };

/**
 * @param options.supervise true in workers: looks for jobs whose worker died, and puts those into the dead-letter queue
 *   that have no retry left
 */
export async function openQueue(
  database: Database,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
): Promise<Queue> {
  const boss = openBoss(database, log, options);
  await boss.start();
  const statistics = createQueueStatistics(database, log);

  async function take(name: string, limit: number): Promise<FetchedJob[]> {
    const lostBefore = database.lostConnections();
    const fetched = await database.transaction(
      (tx) => boss.fetch(name, { batchSize: limit, includeMetadata: true, db: bridge(tx, true) }),
      { settings: claimSettings },
    );
    return fetched.map((job) => toFetched(job, name, lostBefore));
  }

  async function takeLimited(lanes: ReadonlyMap<string, number>, limit: number) {
    const lostBefore = database.lostConnections();
    const fetched = await database.transaction(
      async (tx) => {
        if (!(await tryLockLaneCounts(tx))) return undefined;
        // Those of isolated jobs, which pg-boss does not count here.
        const taken = await countLanes(tx, [isolatedJobs]);
        const free = [...lanes].map(([name, count]) => [name, Math.max(0, count - (taken.get(name) ?? 0))]);
        const groupConcurrency = { default: unlimited, tiers: Object.fromEntries(free) };
        const options = { batchSize: limit, includeMetadata: true, groupConcurrency } as const;
        return boss.fetch(limitedJobs, { ...options, db: bridge(tx, true) });
      },
      { settings: claimSettings },
    );
    return fetched?.map((job) => toFetched(job, limitedJobs, lostBefore));
  }

  return {
    enqueue: async (tx, newJobs) => {
      for (const [name, some] of byQueue(newJobs)) {
        const inserted = await boss.insert(name, some.map(toInsert), {
          db: bridge(tx, true),
          returnId: true,
        });
        if (inserted?.length !== some.length)
          throw new Error(`pg-boss inserted ${inserted?.length ?? 0} of ${some.length} jobs`);
      }
    },
    withdraw: async (tx, jobIds) => {
      if (jobIds.length === 0) return;
      const count = affected(await boss.deleteJob(jobs, [...jobIds], { db: bridge(tx, true) }));
      if (count !== jobIds.length) throw new Error(`pg-boss deleted ${count} of ${jobIds.length} jobs`);
    },
    fetch: async (limit) => {
      const startedAt = performance.now();
      try {
        const fetched = await take(jobs, limit);
        statistics.noteFetch(fetched.length, limit, performance.now() - startedAt);
        return fetched;
      } catch (error) {
        statistics.noteFailure();
        throw error;
      }
    },
    fetchLimited: takeLimited,
    takeLane: (job, name, lanes) =>
      database.transaction(
        async (tx) => {
          if (!(await tryLockLaneCounts(tx))) return false;
          const taken = await countLanes(tx, [isolatedJobs, limitedJobs]);
          if ((taken.get(name) ?? 0) >= lanes) return false;
          await giveLane(tx, job.id, name);
          return true;
        },
        { settings: claimSettings },
      ),
    leaveLanes: (fetched) => freeLanes(database, fetched),
    fetchIsolated: async () => (await take(isolatedJobs, 1))[0],
    hasIsolated: async () => {
      const { rows } = await database.query({
        name: 'has_isolated_job',
        text: `SELECT FROM {queue}.job WHERE name = $1 AND state < 'active' AND start_after <= now() LIMIT 1`,
        values: [isolatedJobs],
      });
      return rows.length > 0;
    },
    complete: async (tx, fetched) => {
      let count = 0;
      for (const [name, some] of byQueue(fetched))
        count += affected(await boss.deleteJob(name, some.map(attemptOf), { db: bridge(tx, true) }));
      return count;
    },
    touch: async (fetched) => {
      for (const [name, some] of byQueue(fetched)) await boss.touch(name, some.map(attemptOf));
    },
    fetchDead: async (limit) => {
      const fetched = await boss.fetch(deadLetters, { batchSize: limit, includeMetadata: true });
      return fetched.map((job) => ({
        id: job.id,
        retryCount: job.retryCount,
        events: readEventKeys(job.data),
        jobId: job.sourceId,
        isIsolated: job.sourceName === isolatedJobs,
        hasUnchargedLoss: hasUnchargedLoss(job.data),
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
          SELECT id FROM {queue}.job WHERE name IN ($1, $2, $5, $6) AND id = ANY($3::uuid[]) AND state < 'completed'
          UNION ALL
          SELECT source_id FROM {queue}.job WHERE name = $4 AND state < 'completed' AND source_id = ANY($3::uuid[])`,
        values: [jobs, isolatedJobs, jobIds, deadLetters, pausedJobs, limitedJobs],
      });
      return new Set(rows.map((row) => row.id));
    },
    lockResumed: async (tx, pauseIds, after, limit) =>
      (await lockResumed(tx, pauseIds, after, limit)).map(({ id, data, createdAt }) => ({
        id,
        events: readEventKeys(data),
        isIsolated: (data as Partial<JobData> | null)?.isIsolated === true,
        hasUnchargedLoss: hasUnchargedLoss(data),
        createdAt,
      })),
    completePaused: async (tx, jobIds) => {
      if (jobIds.length > 0) await boss.deleteJob(pausedJobs, [...jobIds], { db: bridge(tx) });
    },
    stop: async () => {
      await statistics.settled();
      await boss.stop({ graceful: false });
    },
  };
}

type Destination = Pick<NewJob, 'isIsolated' | 'pauseIds'> & { lane?: string | undefined };

function queueOf({ isIsolated = false, pauseIds = [], lane }: Destination): string {
  if (pauseIds.length > 0) return pausedJobs;
  if (isIsolated) return isolatedJobs;
  return lane === undefined ? jobs : limitedJobs;
}

/** pg-boss takes the jobs of one queue at a time. Queues without any are left out. */
function byQueue<J extends Destination>(some: readonly J[]): Map<string, J[]> {
  return Map.groupBy(some, queueOf);
}

function toInsert(job: NewJob) {
  const data: JobData = {
    events: job.events.map(({ source, eventId }) => [source, eventId]),
    ...(job.hasUnchargedLoss ? { hasUnchargedLoss: true } : {}),
    ...(job.pauseIds?.length ? { pauses: job.pauseIds } : {}),
    ...(job.pauseIds?.length && job.isIsolated ? { isIsolated: true } : {}),
  };
  return {
    id: job.jobId,
    data,
    ...(job.afterSeconds ? { startAfter: job.afterSeconds } : {}),
    ...(job.priority ? { priority: job.priority } : {}),
    // pg-boss counts by the group, and finds the group's limit by its tier.
    ...(job.lane === undefined ? {} : { group: { id: job.lane, tier: job.lane } }),
    ...(job.retryLimit === undefined ? {} : { retryLimit: job.retryLimit }),
  };
}

function toFetched(
  { id, retryCount, data, groupId }: JobWithMetadata<unknown>,
  queue: string,
  lostBefore: number,
): FetchedJob {
  return {
    id,
    retryCount,
    isIsolated: queue === isolatedJobs,
    hasUnchargedLoss: hasUnchargedLoss(data),
    lane: queue === limitedJobs ? (groupId ?? '') : undefined,
    events: readEventKeys(data),
    lostBefore,
  };
}

/** Fences the call: pg-boss ignores a fetch that was lost. */
function attemptOf({ id, retryCount }: Pick<FetchedJob, 'id' | 'retryCount'>) {
  return { id, retryCount };
}

/** A job that somebody else inserted may say anything: such a job names no event, and must not stop its neighbours. */
function readEventKeys(data: unknown): EventKey[] {
  const { events, source, eventId } = (data ?? {}) as Partial<JobData & EventKey>;
  const pairs: unknown[] = Array.isArray(events) ? events : [[source, eventId]];
  return pairs.flatMap((pair) => {
    const [s, id] = Array.isArray(pair) ? pair : [];
    return typeof s === 'string' && typeof id === 'string' ? [{ source: s, eventId: id }] : [];
  });
}

function hasUnchargedLoss(data: unknown): boolean {
  return (data as Partial<JobData> | null)?.hasUnchargedLoss === true;
}

function affected(response: object): number {
  return (response as { affected: number }).affected;
}
