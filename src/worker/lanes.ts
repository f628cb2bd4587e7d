// Handlers with `concurrency`: their events wait in a queue of their own, and this worker takes a job of it for each lane
// that is free in the whole cluster. So they never stand in the way of other handlers' events.
import type { Handler } from '../handlers/handler.ts';
import type { FetchedJob, Queue } from '../queue/queue.ts';
import type { Entry } from './job.ts';
import { lanesOf, limitOf } from './plan.ts';
import { type ReleaseEntriesDeps, releaseToLanes } from './release-entries.ts';

export interface LanesOptions extends ReleaseEntriesDeps {
  queue: Pick<Queue, 'fetchLimited' | 'takeLane' | 'leaveLanes'>;
  /** The list in force. */
  handlers: () => readonly Handler[];
  /** Longest time between two looks into the queue. */
  pollMs: number;
}

/** After an empty look, news of other workers cause the next one at the earliest then. */
const emptyPauseMs = 100;
/** No handler has `concurrency` any more: jobs of an earlier deploy may be left. */
const unusedPauseMs = 60_000;
/** Another worker counts the lanes: that takes a few milliseconds. */
const countingPauseMs = 20;

export class Lanes {
  readonly #options: LanesOptions;
  /** When to look into the queue again, as performance.now(). */
  #lookAtMs = 0;
  #notBeforeMs = 0;
  #freedAtLook = 0;
  /** Every slot was busy: the worker is woken when a slot is free. */
  #isFull = false;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** There may be events, or a lane may be free. */
  noteNews(): void {
    if (this.#isUnused()) return;
    this.#lookAtMs = Math.min(this.#lookAtMs, Math.max(this.#notBeforeMs, performance.now()));
  }

  /** How long the worker may sleep. */
  dueInMs(): number {
    return this.#isFull ? Number.POSITIVE_INFINITY : Math.max(0, this.#lookAtMs - performance.now());
  }

  #isUnused(): boolean {
    return this.#options.handlers().every(({ concurrency }) => concurrency === undefined);
  }

  /** @returns jobs for up to `freeSlots` lanes; none also where it is too early to look */
  async take(freeSlots: number): Promise<FetchedJob[]> {
    const { queue, handlers, completions, pollMs } = this.#options;
    const freed = completions.freedLanes();
    const isDue = freed !== this.#freedAtLook || performance.now() >= this.#lookAtMs;
    this.#isFull = freeSlots <= 0;
    if (this.#isFull || !isDue) return [];
    const lanes = lanesOf(handlers());
    const fetched = await queue.fetchLimited(lanes, freeSlots);
    this.#freedAtLook = freed;
    const now = performance.now();
    const isEmpty = fetched?.length === 0;
    this.#notBeforeMs = isEmpty ? now + emptyPauseMs : now;
    const emptyMs = lanes.size === 0 ? unusedPauseMs : pollMs;
    this.#lookAtMs = now + (isEmpty ? emptyMs : fetched ? 0 : countingPauseMs);
    return fetched ?? [];
  }

  /** Whether the entry may start only with a lane that its job does not hold. */
  readonly isWithoutLane = ({ job, plan }: Entry): boolean => {
    const limit = limitOf(plan);
    return limit !== undefined && !job.isIsolated && job.lane !== limit.handlerName;
  };

  /** Sends entries to the queue of their lanes. */
  async release(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const { buffer } = this.#options;
    for (const entry of await releaseToLanes(entries, this.#options))
      buffer.waitForLock(entry, performance.now());
    this.#lookAtMs = 0;
  }

  /** Whether an isolated event may run. */
  async admitsIsolated({ job, plan }: Entry): Promise<boolean> {
    const limit = limitOf(plan);
    return (
      limit === undefined || (await this.#options.queue.takeLane(job, limit.handlerName, limit.maxConcurrent))
    );
  }

  /** An isolated event has ended, or waits for its locked row. */
  async leaveIsolated(job: FetchedJob): Promise<void> {
    if (!this.#isUnused()) await this.#options.queue.leaveLanes([job]);
  }

  /** A job that waits for a locked row gives its lane to others. To be called by a timer. */
  async freeLocked(): Promise<void> {
    const { buffer, queue } = this.#options;
    const jobs = buffer.lockedLanes();
    if (jobs.length === 0) return;
    await queue.leaveLanes(jobs);
    const waiting = buffer.takeWaiting((job) => jobs.includes(job));
    for (const job of jobs) buffer.leaveLane(job);
    await this.release(waiting);
  }
}
