// The jobs that are this worker's: held until they are settled; of these, what is ready and what has to run alone.

import type { Attempt, ClaimedJob, EventKey, Suspicion } from '../queue/queue.ts';
import type { Assignment, JobInHand } from './attempt.ts';

/** Lost with an earlier process. Not planned yet: a handler's schema or `entity` may be what ends the process. */
export interface Suspect extends JobInHand {
  suspicion: Suspicion;
}

export interface Ready {
  assignment: Assignment;
  since: number;
}

export class JobsInHand {
  /** By attempt: where a claim was lost, the same job may come again before its last attempt has ended here. */
  readonly #held = new Map<string, ClaimedJob>();
  readonly #ready: Ready[] = [];
  readonly #suspects: Suspect[] = [];

  hold(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) this.#held.set(attemptKey(job), job);
  }

  /** They are settled, or somebody else's by now: their heartbeat is no longer ours to keep up. */
  release(jobs: readonly Attempt[]): void {
    for (const job of jobs) this.#held.delete(attemptKey(job));
  }

  /** Of these the jobs whose event is in hand already under another attempt, or twice among them. */
  alreadyHere(jobs: readonly ClaimedJob[]): Set<ClaimedJob> {
    const events = new Set(this.held().map(({ key }) => eventKey(key)));
    return new Set(
      jobs.filter(({ key }) => {
        const isHere = key.source !== '' && events.has(eventKey(key));
        events.add(eventKey(key));
        return isHere;
      }),
    );
  }

  held(): ClaimedJob[] {
    return [...this.#held.values()];
  }

  addReady(assignment: Assignment): void {
    this.#ready.push({ assignment, since: performance.now() });
  }

  readyCount(): number {
    return this.#ready.length;
  }

  /** The oldest, `most` at most, until one does not fit. */
  takeRun(fits: (assignment: Assignment) => boolean, most: number): Ready[] {
    const end = this.#ready.slice(0, most).findIndex(({ assignment }) => !fits(assignment));
    return this.#ready.splice(0, end === -1 ? most : end);
  }

  /** What was taken and not begun: before all others, as it was. */
  putBack(ready: readonly Ready[]): void {
    this.#ready.unshift(...ready);
  }

  /** The oldest that fits. */
  takeFirst(fits: (assignment: Assignment) => boolean): Assignment | undefined {
    const index = this.#ready.findIndex(({ assignment }) => fits(assignment));
    return index === -1 ? undefined : this.#ready.splice(index, 1)[0]?.assignment;
  }

  /** The oldest `most` of those that fit. */
  takeMany(fits: (assignment: Assignment) => boolean, most: number): Assignment[] {
    const taken: Assignment[] = [];
    for (let index = 0; index < this.#ready.length && taken.length < most; ) {
      if (fits(this.#ready[index]!.assignment)) taken.push(this.#ready.splice(index, 1)[0]!.assignment);
      else index++;
    }
    return taken;
  }

  /** Those that have been ready for longer. */
  takeOverdue(waitMs: number): Assignment[] {
    const now = performance.now();
    const count = this.#ready.findIndex(({ since }) => now - since <= waitMs);
    return this.#ready
      .splice(0, count === -1 ? this.#ready.length : count)
      .map(({ assignment }) => assignment);
  }

  addSuspect(suspect: Suspect): void {
    this.#suspects.push(suspect);
  }

  suspectCount(): number {
    return this.#suspects.length;
  }

  /** The oldest. */
  takeSuspect(): Suspect | undefined {
    return this.#suspects.shift();
  }

  takeSuspects(): Suspect[] {
    return this.#suspects.splice(0);
  }

  /** What has not begun. */
  takeAll(): JobInHand[] {
    return [...this.#ready.splice(0).map(({ assignment }) => assignment), ...this.takeSuspects()];
  }
}

const attemptKey = ({ id, retryCount }: Attempt) => `${id}/${retryCount}`;
const eventKey = ({ source, eventId }: EventKey) => `${source}/${eventId}`;
