// Keeps rows and jobs together: enqueues PENDING events without a job, and finds jobs that vanished.
import {
  assignJobs,
  clearJobs,
  type EnqueuedEvent,
  lockEventsWithoutJob,
  pageOfEnqueued,
} from '../events/jobs.ts';
import { failpoint } from '../failpoint.ts';
import { wakeWorkersAtCommit } from '../queue/notify.ts';
import { toJobs } from '../queue/queue.ts';
import type { BackgroundTask } from './background-tasks.ts';
import { type DeadLetterDeps, settleDeadLetters } from './dead-letters.ts';

const batchSize = 500;
const healPageSize = 1_000;
/** Pages compared per pass: a backlog of a million is gone through in slices, not at once. */
const healPagesPerPass = 20;

export type ReconcileDeps = Pick<DeadLetterDeps, 'database' | 'queue'>;

/**
 * Enqueues PENDING events that have no job: replays, and events whose job was lost.
 * @param signal when aborted, the function starts no further batch
 * @returns how many
 */
export async function enqueueEventsWithoutJob(
  { database, queue }: ReconcileDeps,
  signal?: AbortSignal,
): Promise<number> {
  let total = 0;
  while (!signal?.aborted) {
    const count = await database.transaction(async (tx) => {
      const events = await lockEventsWithoutJob(tx, batchSize);
      if (events.length === 0) return 0;
      const jobs = [
        ...toJobs(events.filter(({ wasLostAlone }) => !wasLostAlone)),
        ...events
          .filter(({ wasLostAlone }) => wasLostAlone)
          .flatMap((event) => toJobs([event], { isIsolated: true })),
      ];
      await assignJobs(
        tx,
        jobs.flatMap(({ jobId, events }) => events.map((event) => ({ ...event, jobId }))),
      );
      await failpoint('worker.redrive');
      await queue.enqueue(tx, jobs);
      await wakeWorkersAtCommit(tx);
      return events.length;
    });
    total += count;
    if (count < batchSize) break;
  }
  return total;
}

/**
 * Finds PENDING events whose job does not exist any more (deleted by hand, a restored dump) and takes the dead job's id
 * from them.
 * @param signal when aborted, no further page is read
 * @returns how many, and where the next pass goes on
 */
export async function clearVanishedJobs(
  deps: ReconcileDeps,
  from: EnqueuedEvent | undefined,
  signal?: AbortSignal,
): Promise<{ cleared: number; next: EnqueuedEvent | undefined }> {
  let cleared = 0;
  let after = from;
  for (let page = 0; page < healPagesPerPass && !signal?.aborted; page++) {
    const { events, lost } = await readPage(deps, after);
    if (lost.length > 0) {
      cleared += await clearJobs(deps.database, lost);
      await failpoint('worker.reconcile');
    }
    if (events.length < healPageSize) return { cleared, next: undefined };
    after = events.at(-1);
  }
  return { cleared, next: after };
}

/** Of the oldest pending events, for `doctor`: how many have lost their job. Changes nothing. */
export async function countVanishedJobs(
  deps: ReconcileDeps,
): Promise<{ vanished: number; examined: number }> {
  let vanished = 0;
  let examined = 0;
  let after: EnqueuedEvent | undefined;
  for (let page = 0; page < healPagesPerPass; page++) {
    const { events, lost } = await readPage(deps, after);
    examined += events.length;
    vanished += lost.length;
    if (events.length < healPageSize) break;
    after = events.at(-1);
  }
  return { vanished, examined };
}

async function readPage(
  { database, queue }: ReconcileDeps,
  after: EnqueuedEvent | undefined,
): Promise<{ events: EnqueuedEvent[]; lost: EnqueuedEvent[] }> {
  const events = await pageOfEnqueued(database, after, healPageSize);
  if (events.length === 0) return { events, lost: [] };
  // Read after the events: a job that was there with its event is seen, or its event is settled by now.
  const living = await queue.livingJobs([...new Set(events.map(({ jobId }) => jobId))]);
  return { events, lost: events.filter(({ jobId }) => !living.has(jobId)) };
}

/** Names of the tasks that are woken. */
export const taskNames = { replays: 'replays' } as const;

export interface ReconcileOptions extends DeadLetterDeps {
  /** As RECONCILE_SECONDS, in ms. */
  intervalMs: number;
  /** As SUPERVISE_SECONDS, in ms: how often the dead-letter queue is looked at. */
  deadIntervalMs: number;
  /** Jobs had vanished: `replays` has to run. Without it the events wait for its interval. */
  onCleared?: () => void;
}

/** The tasks that keep rows and jobs together. */
export function reconcileTasks(options: ReconcileOptions): readonly BackgroundTask[] {
  const { log, onCleared, intervalMs, deadIntervalMs } = options;
  let cursor: EnqueuedEvent | undefined;
  return [
    {
      name: taskNames.replays,
      intervalMs,
      failureMessage: 'replays could not be enqueued',
      pass: async (signal) => {
        const count = await enqueueEventsWithoutJob(options, signal);
        if (count > 0) log.info({ count }, 'events without a job were enqueued');
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
      name: 'dead letters',
      intervalMs: deadIntervalMs,
      failureMessage: 'dead letters could not be settled',
      pass: async (signal) => {
        await settleDeadLetters(options, signal);
      },
    },
  ];
}
