// Jobs that were taken and not begun go back together: a worker that stops has seconds, and may hold hundreds.
import { sqlState } from './errors.ts';
import { moveManyToJobs } from './event-jobs.ts';
import { failpoint } from './failpoint.ts';
import type { AttemptDeps, JobInHand } from './handle.ts';
import { newJobId } from './queue/queue.ts';
import { handBack, jobAfter } from './settle-failure.ts';

/** One of them is another's by now, or settled. */
class NotAllOursError extends Error {}

/** An operator may hold one of the rows: the others are not to wait for it. */
const lockTimeout = '1s';

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
    if (!(error instanceof NotAllOursError) && sqlState(error) !== '55P03') throw error;
    await Promise.all(waiting.map((one) => handBack(one, deps, 0, reason)));
  }
}

async function handBackTogether(
  waiting: readonly JobInHand[],
  { database, queue }: Pick<AttemptDeps, 'database' | 'queue'>,
): Promise<void> {
  const replacements = waiting.map((one) => ({ one, next: jobAfter(one, newJobId(), 0) }));
  await database.transaction(
    async (tx) => {
      const ended = await queue.completeManyIn(
        tx,
        waiting.map(({ job }) => job),
      );
      if (ended !== waiting.length) throw new NotAllOursError();
      const moved = await moveManyToJobs(
        tx,
        replacements.map(({ one, next }) => ({ ...next, fromJobId: one.job.id })),
      );
      if (moved !== waiting.length) throw new NotAllOursError();
      await failpoint('worker.moved');
      await queue.enqueue(
        tx,
        replacements.map(({ next }) => next),
      );
    },
    { settings: { lock_timeout: lockTimeout } },
  );
}
