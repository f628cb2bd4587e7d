// Keeps row and job together: enqueues replays, heals jobs that vanished, gives the dead letters their verdict.
import type { Database, Transaction } from '../database/database.ts';
import { readSuspicions } from '../events/crashes.ts';
import {
  assignJobs,
  clearJobs,
  type EnqueuedEvent,
  lockEventsWithoutJob,
  moveToJob,
  pageOfEnqueued,
} from '../events/jobs.ts';
import { lockRow, RowHeldError } from '../events/locks.ts';
import { markFailed } from '../events/outcomes.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import { type DeadJob, newJobId, type Queue } from '../queue/queue.ts';
import type { BackgroundTask } from './background-tasks.ts';

const batchSize = 500;
const healPageSize = 1_000;
/** Pages compared per pass: a backlog of a million is gone through in slices, not at once. */
const healPagesPerPass = 20;
const deadBatchSize = 100;

export interface ReconcileDeps {
  database: Database;
  queue: Queue;
  log: Logger;
}

/**
 * Enqueues PENDING events that have no job: replays, and those whose job was lost.
 * @param options.signal aborted: the batch under way is the last
 * @param options.onEnqueued called after each batch
 * @returns how many
 */
export async function enqueueEventsWithoutJob(
  { database, queue }: ReconcileDeps,
  { signal, onEnqueued }: { signal?: AbortSignal; onEnqueued?: (() => void) | undefined } = {},
): Promise<number> {
  let total = 0;
  while (!signal?.aborted) {
    const count = await database.transaction(async (tx) => {
      const events = await lockEventsWithoutJob(tx, batchSize);
      const jobs = events.map(({ source, eventId, endedItsProcess }) => ({
        source,
        eventId,
        jobId: newJobId(),
        // A fresh start, but not beside others.
        ...(endedItsProcess ? { suspicion: { inCompany: 0, alone: 0 } } : {}),
      }));
      if (jobs.length === 0) return 0;
      await assignJobs(tx, jobs);
      await failpoint('worker.redrive');
      await queue.enqueue(tx, jobs);
      return jobs.length;
    });
    total += count;
    if (count > 0) onEnqueued?.();
    if (count < batchSize) break;
  }
  return total;
}

/**
 * Finds PENDING events whose job does not exist any more (deleted by hand, a restored dump) and takes the dead
 * job id from them. @returns how many, and where the next pass goes on
 */
export async function clearVanishedJobs(
  { database, queue }: ReconcileDeps,
  from: EnqueuedEvent | undefined,
  signal?: AbortSignal,
): Promise<{ cleared: number; next: EnqueuedEvent | undefined }> {
  let cleared = 0;
  let after = from;
  for (let page = 0; page < healPagesPerPass && !signal?.aborted; page++) {
    const events = await pageOfEnqueued(database, after, healPageSize);
    if (events.length > 0) {
      // Read after the events: a job that was there with its event is seen, or its event is settled by now.
      const living = await queue.livingJobs(events.map((event) => event.jobId));
      const lost = events.filter((event) => !living.has(event.jobId));
      if (lost.length > 0) cleared += await clearJobs(database, lost);
      if (lost.length > 0) await failpoint('worker.reconcile');
    }
    if (events.length < healPageSize) return { cleared, next: undefined };
    after = events.at(-1);
  }
  return { cleared, next: after };
}

/** Of the oldest pending events, for `doctor`: how many have lost their job. Changes nothing. */
export async function countVanishedJobs({
  database,
  queue,
}: Pick<ReconcileDeps, 'database' | 'queue'>): Promise<{ vanished: number; examined: number }> {
  let vanished = 0;
  let examined = 0;
  let after: EnqueuedEvent | undefined;
  for (let page = 0; page < healPagesPerPass; page++) {
    const events = await pageOfEnqueued(database, after, healPageSize);
    const living = await queue.livingJobs(events.map((event) => event.jobId));
    examined += events.length;
    vanished += events.filter((event) => !living.has(event.jobId)).length;
    if (events.length < healPageSize) break;
    after = events.at(-1);
  }
  return { vanished, examined };
}

/**
 * FAILED for the events of dead-lettered jobs, also where a crash left no JavaScript to say so. One whose last attempt
 * was lost beside others, and none alone, runs once more, alone. @returns how many jobs
 */
export async function settleDeadLetters(
  { database, queue, log }: ReconcileDeps,
  signal?: AbortSignal,
): Promise<number> {
  let total = 0;
  while (!signal?.aborted) {
    const dead = await queue.fetchDead(deadBatchSize);
    const examined = dead.flatMap(({ jobId, key, attempts, suspicion }) =>
      jobId === null ? [] : [{ id: jobId, key, ended: attempts, suspicion }],
    );
    const suspicions = await readSuspicions(database, examined);
    for (const job of dead) {
      // pg-boss returns the remaining jobs when they expire.
      if (signal?.aborted) break;
      const suspicion = job.jobId === null ? undefined : suspicions.get(job.jobId);
      const isUnproven = suspicion !== undefined && suspicion.alone === 0 && suspicion.inCompany > 0;
      if (isUnproven) await runOnceMore(job, suspicion.inCompany, { database, queue, log });
      else await giveVerdict(job, { database, queue, log });
    }
    total += dead.length;
    if (dead.length < deadBatchSize) break;
  }
  return total;
}

/** A verdict that cannot be written, since somebody holds the event's row, waits for the next time; no other one does. */
async function unlessHeld(
  job: DeadJob,
  { database, queue }: Pick<ReconcileDeps, 'database' | 'queue'>,
  settle: (tx: Transaction) => Promise<void>,
): Promise<void> {
  try {
    await database.transaction(async (tx) => {
      await lockRow(tx, job.key);
      await settle(tx);
    });
  } catch (error) {
    if (!(error instanceof RowHeldError)) throw error;
    await queue.putOffDead(job);
  }
}

async function giveVerdict(job: DeadJob, deps: ReconcileDeps): Promise<void> {
  const { queue, log } = deps;
  const { source, eventId } = job.key;
  await unlessHeld(job, deps, async (tx) => {
    const { jobId, suspicion } = job;
    // With those that it lost under the jobs before this one.
    const attempts = job.attempts + (suspicion ? suspicion.inCompany + suspicion.alone : 0);
    const fallbackError = `AttemptLost: ${job.output}`;
    const isFailed =
      jobId !== null && (await markFailed(tx, { source, eventId, jobId, attempts, fallbackError }));
    await failpoint('worker.dead-letter');
    await queue.completeDead(tx, [job]);
    if (isFailed) log.error({ source, eventId, attempts }, 'the event is a dead letter');
  });
}

/** What it lost beside others stays held against it, except for the one that it gets back here. */
async function runOnceMore(job: DeadJob, lostInCompany: number, deps: ReconcileDeps): Promise<void> {
  const { queue, log } = deps;
  const { source, eventId } = job.key;
  const jobId = newJobId();
  await unlessHeld(job, deps, async (tx) => {
    await queue.completeDead(tx, [job]);
    if (job.jobId === null || !(await moveToJob(tx, job.key, job.jobId, jobId, false))) return;
    const suspicion = { inCompany: lostInCompany - 1, alone: 0 };
    await queue.enqueue(tx, [{ source, eventId, jobId, failuresLeft: 1, suspicion }]);
    log.warn(
      { source, eventId },
      'its last attempt was lost with a process that had other events in hand: it runs once more, alone',
    );
  });
}

/** Names of the tasks that are woken. */
export const taskNames = { replays: 'replays', deadLetters: 'dead letters' } as const;

export interface ReconcileOptions extends ReconcileDeps {
  /** As RECONCILE_SECONDS, in ms. */
  intervalMs: number;
  /** As SUPERVISE_SECONDS, in ms: how often other workers' dead letters are looked for. */
  deadIntervalMs: number;
  /** Events were enqueued: a worker should look. Without it they wait for its next poll. */
  onEnqueued?: () => void;
  /** Jobs had vanished: `replays` has to run. Without it the events wait for its interval. */
  onCleared?: () => void;
}

/** The tasks that keep row and job together. */
export function reconcileTasks(options: ReconcileOptions): readonly BackgroundTask[] {
  const { log, onEnqueued, onCleared, intervalMs, deadIntervalMs } = options;
  let cursor: EnqueuedEvent | undefined;
  return [
    {
      name: taskNames.replays,
      intervalMs,
      failureMessage: 'replays could not be enqueued',
      pass: async (signal) => {
        const count = await enqueueEventsWithoutJob(options, { signal, onEnqueued });
        if (count) log.info({ count }, 'events without a job were enqueued');
      },
    },
    {
      name: 'vanished jobs',
      intervalMs,
      failureMessage: 'vanished jobs could not be looked for',
      pass: async (signal) => {
        const { cleared, next } = await clearVanishedJobs(options, cursor, signal);
        cursor = next;
        if (cleared === 0) return;
        log.warn({ count: cleared }, 'events had lost their job; they are enqueued again');
        onCleared?.();
      },
    },
    {
      name: taskNames.deadLetters,
      intervalMs: deadIntervalMs,
      failureMessage: 'dead letters could not be settled',
      pass: async (signal) => {
        await settleDeadLetters(options, signal);
      },
    },
  ];
}
