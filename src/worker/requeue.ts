// Jobs that were taken and not begun go back together: a worker that stops has seconds, and may hold hundreds.
import type { Transaction } from '../database/database.ts';
import { readEvents } from '../events/event.ts';
import { moveManyToJobs } from '../events/jobs.ts';
import { lockFreeRows } from '../events/locks.ts';
import { failpoint } from '../failpoint.ts';
import { type ClaimedJob, newJobId, type Queue } from '../queue/queue.ts';
import type { AttemptDeps, JobInHand } from './attempt.ts';
import { handBack, jobAfter } from './failure.ts';

/** One of them is another's by now, or settled. */
class NotAllOursError extends Error {}

/**
 * New jobs in the place of these, in one commit, and nothing is charged. Where that cannot be for all, each by itself.
 * @throws when the database could not record it for one of them; the others may be handed back
 */
export async function handBackMany(
  waiting: readonly JobInHand[],
  deps: Pick<AttemptDeps, 'database' | 'queue'>,
  reason: string,
): Promise<void> {
  if (waiting.length === 0) return;
  try {
    await handBackTogether(waiting, deps);
  } catch (error) {
    if (!(error instanceof NotAllOursError)) throw error;
    await Promise.all(waiting.map((one) => handBack(one, deps, 0, reason)));
  }
}

async function handBackTogether(
  waiting: readonly JobInHand[],
  { database, queue }: Pick<AttemptDeps, 'database' | 'queue'>,
): Promise<void> {
  await database.transaction(
    async (tx) => {
      const locked = await lockFreeRows(tx, waiting.map(jobOf));
      const free = waiting.filter(({ job }) => locked.has(job.id));
      await handBackHeld(
        tx,
        waiting.filter(({ job }) => !locked.has(job.id)),
        queue,
      );
      if (free.length === 0) return;
      const replacements = free.map((one) => ({ one, next: jobAfter(one, newJobId(), 0) }));
      const ended = await queue.completeManyIn(tx, free.map(jobOf));
      if (ended !== free.length) throw new NotAllOursError();
      await moveManyToJobs(
        tx,
        replacements.map(({ one, next }) => ({ ...next, fromJobId: one.job.id })),
      );
      await failpoint('worker.moved');
      await queue.enqueue(
        tx,
        replacements.map(({ next }) => next),
      );
    },
    { settings: { synchronous_commit: 'on' } },
  );
}

/** An operator may hold the row of one: its job cannot be replaced now, and the others are not to wait for it. */
async function handBackHeld(tx: Transaction, waiting: readonly JobInHand[], queue: Queue): Promise<void> {
  if (waiting.length === 0) return;
  const events = await readEvents(
    tx,
    waiting.map(({ event }) => event),
  );
  const jobIds = new Set(events.filter(({ status }) => status === 'PENDING').map(({ jobId }) => jobId));
  const isDue = ({ id }: ClaimedJob) => jobIds.has(id);
  const jobs = waiting.map(jobOf);
  const held = jobs.filter(isDue).map((job) => ({ ...job, afterSeconds: 0 }));
  if (held.length > 0) await queue.putOff(tx, held);
  const settled = jobs.filter((job) => !isDue(job));
  if (settled.length > 0) await queue.completeManyIn(tx, settled);
}

const jobOf = ({ job }: JobInHand) => job;
