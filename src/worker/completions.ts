// Completes jobs in groups once their events have left them: the effects are committed, so nobody waits for it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { FetchedJob, Queue } from '../queue/queue.ts';

const maxPerTransaction = 500;
/** How long to collect completions, so that one transaction covers many jobs. */
const collectMs = 20;

export interface CompletionsDeps {
  database: Pick<Database, 'transaction' | 'lostConnections'>;
  queue: Pick<Queue, 'complete'>;
  log: Logger;
}

interface Completion {
  job: FetchedJob;
  /** `lostConnections()` when the job's last event had left it. */
  lostBefore: number;
}

export class Completions {
  readonly #deps: CompletionsDeps;
  readonly #waiting: Completion[] = [];
  #flushing: Promise<void> | undefined;
  #isUrgent = false;

  constructor(deps: CompletionsDeps) {
    this.#deps = deps;
  }

  /**
   * Call it in the turn in which the COMMIT of the job's last event was answered. Never throws. A completion that is late,
   * or lost, costs a look at settled events and no more: it is tried once.
   */
  add(job: FetchedJob): void {
    this.#waiting.push({ job, lostBefore: this.#deps.database.lostConnections() });
    this.#flushing ??= this.#flush();
  }

  /** Completes at once from now on. Resolves when no job is left to be completed. */
  async drain(): Promise<void> {
    this.#isUrgent = true;
    while (this.#flushing) await this.#flushing;
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#waiting.length < maxPerTransaction && !this.#isUrgent) await delay(collectMs);
      const some = this.#waiting.splice(0, maxPerTransaction);
      try {
        await this.#complete(some);
        await failpoint('worker.after-complete');
      } catch (error) {
        const fields = { error: describeError(error).text, jobs: some.length };
        this.#deps.log.warn(fields, 'jobs could not be completed; they come back');
      }
    }
    this.#flushing = undefined;
  }

  /**
   * The effects of the jobs were committed asynchronously. If Postgres has crashed since, the effects may be gone, and the
   * events need their job again. A crash after the check ends the connection that deletes the jobs.
   */
  async #complete(some: readonly Completion[]): Promise<void> {
    const { database, queue, log } = this.#deps;
    await database.transaction(async (tx) => {
      const lostNow = database.lostConnections();
      const certain = some.filter(({ lostBefore }) => lostBefore === lostNow);
      if (certain.length > 0)
        await queue.complete(
          tx,
          certain.map(({ job }) => job),
        );
      if (certain.length < some.length)
        log.warn(
          { jobs: some.length - certain.length },
          'a database connection was lost after the events of these jobs were done; the jobs come back and their events are checked',
        );
    });
  }
}
