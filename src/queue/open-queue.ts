// The queue on pg-boss: each call in its words.
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import { bridge, deadLetters, jobs, openBoss } from './boss.ts';
import { applyPolicy } from './policy.ts';
import type { Attempt, ClaimedJob, EventKey, Queue, Suspicion } from './queue.ts';
import { keepStatistics } from './statistics.ts';

type JobData = EventKey & { suspicion?: Suspicion; timesHeld?: number };

const fetchSettings = {
  // A job that is given out twice after a crash of Postgres would run twice at once.
  synchronous_commit: 'local',
  // A connection that died without a sign would hold the locks of its jobs: nobody could take them.
  idle_in_transaction_session_timeout: '4s',
};

/**
 * @param options.supervise true in workers: looks for jobs whose worker died, and dead-letters them
 */
export async function openQueue(
  database: Pick<Database, 'query' | 'transaction'>,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
): Promise<Queue> {
  const boss = openBoss(database, log, options);
  await boss.start();
  const pooled = bridge(database, true);
  const statistics = keepStatistics(database, log);

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
      const startedAt = performance.now();
      const fetched = await database
        .transaction(
          (tx) =>
            boss.fetch<JobData>(jobs, { batchSize: limit, includeMetadata: true, db: bridge(tx, true) }),
          { settings: fetchSettings },
        )
        .catch((error: unknown) => {
          statistics.noteFailure();
          throw error;
        });
      statistics.noteFetch(fetched.length, limit, performance.now() - startedAt);
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
    putOff: async (tx, putOff) => {
      await tx.query({
        // pg-boss's `restore` knows no time and no fence; a test holds these columns in place.
        text: `
          UPDATE pgboss.job AS job SET state = 'created', started_on = NULL, heartbeat_on = NULL,
            start_after = now() + p.seconds * interval '1 second',
            data = job.data || jsonb_build_object('timesHeld', p.times_held)
          FROM unnest($2::uuid[], $3::int[], $4::int[], $5::int[]) AS p (id, retry_count, seconds, times_held)
          WHERE job.name = $1 AND job.id = p.id AND job.retry_count = p.retry_count AND job.state = 'active'`,
        values: [
          jobs,
          putOff.map(({ id }) => id),
          putOff.map(({ retryCount }) => retryCount),
          putOff.map(({ afterSeconds }) => afterSeconds),
          putOff.map(({ timesHeld }) => timesHeld),
        ],
      });
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
    putOffDead: async (dead) => {
      await boss.fail(deadLetters, attemptOf(dead));
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
    stop: async () => {
      await statistics.settled();
      await boss.stop({ graceful: false });
    },
  };
}

function attemptOf({ id, retryCount }: Attempt): Attempt {
  return { id, retryCount };
}

/** A job that somebody else put in may say anything: it names no event then, and must not stop those beside it. */
function readData(data: Partial<JobData> | null): Pick<ClaimedJob, 'key' | 'suspicion' | 'timesHeld'> {
  const { source, eventId, suspicion, timesHeld } = data ?? {};
  if (typeof source !== 'string' || typeof eventId !== 'string') {
    return { key: { source: '', eventId: '' }, suspicion: undefined, timesHeld: 0 };
  }
  return { key: { source, eventId }, suspicion, timesHeld: Number.isInteger(timesHeld) ? timesHeld! : 0 };
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
