// Completes jobs in groups once their events have left them: the effects are committed, so nobody waits for it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, Transaction } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { readClaimable } from '../events/locks.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import { type FetchedJob, keyText, type Queue } from '../queue/queue.ts';
import type { Wakeup } from './wakeup.ts';

const maxPerTransaction = 500;
/** How long to collect completions, so that one transaction covers many jobs. */
const collectMs = 20;

export interface CompletionsDeps {
  database: Pick<Database, 'transaction' | 'lostConnections'>;
  queue: Pick<Queue, 'complete'>;
  log: Logger;
  /** Woken when a job has left its lane. */
  wakeup?: Wakeup;
}

export class Completions {
  readonly #deps: CompletionsDeps;
  readonly #waiting: FetchedJob[] = [];
  #flushing: Promise<void> | undefined;
  #isUrgent = false;
  #freedLanes = 0;

  constructor(deps: CompletionsDeps) {
    this.#deps = deps;
  }

  /**
   * Never throws. A completion that is late, or lost, costs a look at settled events and no more: it is tried once.
   */
  add(job: FetchedJob): void {
    this.#waiting.push(job);
    this.#flushing ??= this.#flush();
  }

  /** How many jobs with a lane have been completed. */
  freedLanes(): number {
    return this.#freedLanes;
  }

  /** Completes at once from now on. Resolves when no job is left to be completed. */
  async drain(): Promise<void> {
    this.#isUrgent = true;
    while (this.#flushing) await this.#flushing;
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const isDue = this.#waiting.length >= maxPerTransaction || this.#waiting.some(hasLane);
      if (!isDue && !this.#isUrgent) await delay(collectMs);
      const some = this.#waiting.splice(0, maxPerTransaction);
      try {
        await this.#complete(some);
        await failpoint('worker.after-complete');
        this.#noteLanes(some);
      } catch (error) {
        const fields = { error: describeError(error).text, jobs: some.length };
        this.#deps.log.warn(fields, 'jobs could not be completed; they will be fetched again');
      }
    }
    this.#flushing = undefined;
  }

  #noteLanes(completed: readonly FetchedJob[]): void {
    const freed = completed.filter(hasLane).length;
    if (freed === 0) return;
    this.#freedLanes += freed;
    this.#deps.wakeup?.wake();
  }

  /**
   * The effects of the jobs were committed asynchronously. If Postgres has crashed since, the effects of some events may be
   * gone: these need their job again. A crash after the check ends the connection that deletes the jobs.
   */
  async #complete(some: readonly FetchedJob[]): Promise<void> {
    const { database, queue, log } = this.#deps;
    await database.transaction(async (tx) => {
      const lostNow = database.lostConnections();
      const doubtful = some.filter(({ lostBefore }) => lostBefore !== lostNow);
      const undone = await jobsWithPendingEvents(tx, doubtful);
      const done = some.filter((job) => !undone.has(job));
      if (done.length > 0) await queue.complete(tx, done);
      if (undone.size > 0)
        log.warn(
          { jobs: undone.size },
          'a crash of Postgres undid events of these jobs; the jobs come back and their events run again',
        );
    });
  }
}

function hasLane({ lane }: FetchedJob): boolean {
  return lane !== undefined;
}

async function jobsWithPendingEvents(
  tx: Transaction,
  jobs: readonly FetchedJob[],
): Promise<ReadonlySet<FetchedJob>> {
  if (jobs.length === 0) return new Set();
  const claims = jobs.flatMap(({ id, events }) => events.map((key) => ({ ...key, jobId: id })));
  const pending = new Set((await readClaimable(tx, claims)).map(keyText));
  return new Set(jobs.filter(({ events }) => events.some((key) => pending.has(keyText(key)))));
}
