// Completes the jobs of settled events in groups: the effects are committed, so nobody waits for it.
import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { ClaimedJob, Queue } from '../queue/queue.ts';

const mostPerStatement = 500;
/** They wait so long for company: a statement each would cost more than the attempts. */
const delayMs = 20;

export interface Completions {
  add(job: ClaimedJob): void;
  /** Resolves when nothing is left to be completed. */
  settled(): Promise<void>;
}

/**
 * A completion that is late, or lost, costs a look at a settled event and no more: it is tried once.
 * @param options.isUrgent true: does not wait for company
 */
export function collectCompletions({
  queue,
  log,
  isUrgent,
}: {
  queue: Pick<Queue, 'complete'>;
  log: Logger;
  isUrgent: () => boolean;
}): Completions {
  const waiting: ClaimedJob[] = [];
  let flushing: Promise<void> | undefined;

  async function flush(): Promise<void> {
    while (waiting.length) {
      if (waiting.length < mostPerStatement && !isUrgent()) await delay(delayMs);
      const batch = waiting.splice(0, mostPerStatement);
      try {
        await queue.complete(batch);
        await failpoint('worker.after-complete');
      } catch (error) {
        log.warn(
          { error: describeError(error).text, jobs: batch.length },
          'jobs could not be completed; they come back',
        );
      }
    }
    flushing = undefined;
  }

  return {
    add: (job) => {
      waiting.push(job);
      flushing ??= flush();
    },
    settled: async () => {
      while (flushing) await flushing;
    },
  };
}
