// The end of a pause: gives the events that have waited for it back to the workers.
import type { Transaction } from '../database/database.ts';
import type { Claim } from '../events/locks.ts';
import { readInOrderOfArrival, readPauses } from '../events/pauses.ts';
import { durable, type Release, type ReleaseDeps, releaseIn } from '../events/release.ts';
import type { Logger } from '../logger.ts';
import { keyText, type PausedJob, type Queue, toJobs } from '../queue/queue.ts';
import type { BackgroundTask } from './background-tasks.ts';

/** Small: the jobs of one commit are fetched in any order, the commits one after another. */
const jobsPerCommit = 64;

export interface ResumeDeps extends ReleaseDeps {
  queue: Queue;
}

type Cursor = Pick<PausedJob, 'id' | 'createdAt'>;

/**
 * Releases the events that no pause holds any more, oldest first, in slices. An event that was settled or replayed
 * meanwhile is no longer its job's, and is left alone.
 * @param signal when aborted, no further slice starts
 * @returns how many events
 */
export async function releaseResumed(deps: ResumeDeps, signal?: AbortSignal): Promise<number> {
  let total = 0;
  let after: Cursor | undefined;
  while (!signal?.aborted) {
    const { count, last } = await deps.database.transaction((tx) => releaseSlice(tx, deps, after), durable);
    total += count;
    if (!last) break;
    after = last;
  }
  return total;
}

async function releaseSlice(
  tx: Transaction,
  deps: ResumeDeps,
  after: Cursor | undefined,
): Promise<{ count: number; last: Cursor | undefined }> {
  const { queue } = deps;
  const pauses = await readPauses(tx);
  const jobs = await queue.lockResumed(
    tx,
    pauses.map(({ id }) => id),
    after,
    jobsPerCommit,
  );
  if (jobs.length === 0) return { count: 0, last: undefined };
  const releases = await plan(tx, jobs);
  const released = releases.length > 0 ? await releaseIn(tx, deps, releases) : [];
  // The job of an event whose row somebody holds locked stays for the next pass.
  const left = new Set(released.map(keyText));
  const stay = releases.filter(({ events }) => !events.every((event) => left.has(keyText(event))));
  const staying = new Set(stay.map(({ fromJobId }) => fromJobId));
  await queue.completePaused(
    tx,
    jobs.map(({ id }) => id).filter((id) => !staying.has(id)),
  );
  return { count: released.length, last: jobs.at(-1) };
}

/** An isolated event stays isolated: nobody knows yet whether it ends its process. */
async function plan(tx: Transaction, jobs: readonly PausedJob[]): Promise<Release[]> {
  const ofIsolated = new Map(jobs.filter(({ isIsolated }) => isIsolated).map((job) => [job.id, job]));
  const claims = jobs.flatMap(({ id, events }) => events.map((event) => ({ ...event, jobId: id })));
  const due = await readInOrderOfArrival(tx, claims);
  const isIsolated = ({ jobId }: { jobId: string }) => ofIsolated.has(jobId);
  const ordinary = toJobs(due.filter((event) => !isIsolated(event))).flatMap(({ jobId, events }) =>
    events.map((event: Claim): Release => ({ events: [event], fromJobId: event.jobId, to: { jobId } })),
  );
  const isolated = due.filter(isIsolated).map((event): Release => {
    const { hasUnchargedLoss } = ofIsolated.get(event.jobId)!;
    return { events: [event], fromJobId: event.jobId, to: { isIsolated: true, hasUnchargedLoss } };
  });
  return [...ordinary, ...isolated];
}

/** Names the task to `wake`. */
export const resumeTaskName = 'resumed events';

export function resumeTask(options: ResumeDeps & { log: Logger; intervalMs: number }): BackgroundTask {
  return {
    name: resumeTaskName,
    intervalMs: options.intervalMs,
    failureMessage: 'resumed events could not be released',
    pass: async (signal) => {
      const count = await releaseResumed(options, signal);
      if (count > 0) options.log.info({ count }, 'a pause has ended: its events run again');
    },
  };
}
