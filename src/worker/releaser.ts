// Gives events back that the worker fetched and has not started: held by a pause, too late, or of a worker that stops.
import type { Executor } from './executor.ts';
import type { Entry } from './job.ts';
import type { Pauses } from './pauses.ts';
import { type ReleaseEntriesDeps, releaseEntries, releaseToPause } from './release-entries.ts';

export interface ReleaserOptions extends ReleaseEntriesDeps {
  executor: Pick<Executor, 'eventMs' | 'busySlots'>;
  pauses: Pauses;
  concurrency: number;
}

/** An event that would start later goes back to the queue: another worker may be idle. */
const releaseAfterMs = 250;

/** The number of events that can start within `ms`, by the forecast. */
export function startableWithin(ms: number, concurrency: number, eventMs: number): number {
  return concurrency * (1 + Math.floor(ms / eventMs));
}

export class Releaser {
  readonly #options: ReleaserOptions;

  constructor(options: ReleaserOptions) {
    this.#options = options;
  }

  /**
   * Gives back the events that a pause holds, to wait for its end. To be called after each fetch, when a pause has begun, and
   * by a timer, for events whose rows were locked. The others may start then: the pauses were read again.
   */
  async releasePaused(): Promise<void> {
    const { buffer, pauses } = this.#options;
    const isPaused = ({ event }: Entry) => pauses.holds(event);
    if (pauses.holdsNone() || !buffer.hasUnstarted(isPaused)) return;
    // Events must not be left to a pause that has ended since.
    await pauses.read();
    const locked = await releaseToPause(buffer.takeOut(isPaused), pauses.idsFor, this.#options);
    for (const entry of locked) buffer.waitForLock(entry, performance.now());
  }

  /** Gives back the events that would start too late, together. To be called at each fetch, and by a timer. */
  async releaseLate(): Promise<void> {
    const { buffer, executor, concurrency } = this.#options;
    const startable = startableWithin(releaseAfterMs, concurrency, executor.eventMs());
    const keep = Math.max(0, startable - executor.busySlots());
    if (buffer.readyCount() <= keep) return;
    const locked = await releaseEntries(buffer.takeBeyond(keep), 'late', this.#options);
    for (const entry of locked) buffer.waitForLock(entry, performance.now());
  }

  /** For a worker that stops: releases all that waits. An event whose row is locked comes back when its heartbeat ends. */
  async releaseAll(): Promise<void> {
    const { buffer } = this.#options;
    const locked = await releaseEntries(buffer.takeAll(), 'stopping', this.#options);
    for (const entry of locked) buffer.dropJobOf(entry);
  }
}
