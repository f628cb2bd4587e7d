// Completes jobs in groups once their events have left them: the effects are committed, so nobody waits for it.
import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { FetchedJob, Queue } from '../queue/queue.ts';

const maxPerStatement = 500;
/** How long to collect completions, so that one statement covers many jobs. */
const collectMs = 20;

export class Completions {
  readonly #queue: Pick<Queue, 'complete'>;
  readonly #log: Logger;
  readonly #waiting: FetchedJob[] = [];
  #flushing: Promise<void> | undefined;
  #isUrgent = false;

  constructor(queue: Pick<Queue, 'complete'>, log: Logger) {
    this.#queue = queue;
    this.#log = log;
  }

  /** Never throws. A completion that is late, or lost, costs a look at settled events and no more: it is tried once. */
  add(job: FetchedJob): void {
    this.#waiting.push(job);
    this.#flushing ??= this.#flush();
  }

  /** Completes at once from now on. Resolves when no job is left to be completed. */
  async drain(): Promise<void> {
    this.#isUrgent = true;
    while (this.#flushing) await this.#flushing;
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#waiting.length < maxPerStatement && !this.#isUrgent) await delay(collectMs);
      const jobs = this.#waiting.splice(0, maxPerStatement);
      try {
        await this.#queue.complete(jobs);
        await failpoint('worker.after-complete');
      } catch (error) {
        const fields = { error: describeError(error).text, jobs: jobs.length };
        this.#log.warn(fields, 'jobs could not be completed; they come back');
      }
    }
    this.#flushing = undefined;
  }
}
