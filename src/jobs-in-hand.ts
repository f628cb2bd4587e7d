// The jobs that are this worker's: held until they are settled; of these, what is ready and what has to run alone.
import type { Assignment, JobInHand } from './handle.ts';
import type { ClaimedJob, Suspicion } from './queue/queue.ts';

/** Lost with an earlier process. Not planned yet: a handler's schema or `entity` may be what ends the process. */
export interface Suspect extends JobInHand {
  suspicion: Suspicion;
}

interface Ready {
  assignment: Assignment;
  since: number;
}

export class JobsInHand {
  readonly #held = new Map<string, ClaimedJob>();
  readonly #ready: Ready[] = [];
  readonly #suspects: Suspect[] = [];

  hold(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) this.#held.set(job.id, job);
  }

  /** They are settled, or somebody else's by now: their heartbeat is no longer ours to keep up. */
  release(jobs: readonly Pick<ClaimedJob, 'id'>[]): void {
    for (const { id } of jobs) this.#held.delete(id);
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

  /** The oldest, if it fits. */
  takeNext(fits: (assignment: Assignment) => boolean): Assignment | undefined {
    const next = this.#ready[0]?.assignment;
    if (!next || !fits(next)) return undefined;
    this.#ready.shift();
    return next;
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
