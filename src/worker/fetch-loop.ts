// Fetches jobs as slots come free, and decides which come next: ordinary ones, or one that was lost with its worker.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { chargeLoss, splitLostJob } from '../events/release.ts';
import type { Handler } from '../handlers/handler.ts';
import type { Logger } from '../logger.ts';
import { type FetchedJob, maxEventsPerJob, type Queue } from '../queue/queue.ts';
import type { Watchdog } from '../watchdog.ts';
import type { Completions } from './completions.ts';
import { readEntries } from './entries.ts';
import type { Executor } from './executor.ts';
import { type FailureDeps, nextDelaySeconds } from './failure.ts';
import type { JobBuffer } from './job-buffer.ts';
import type { Lanes } from './lanes.ts';
import type { WorkerObserver } from './observer.ts';
import type { Pauses } from './pauses.ts';
import { type Releaser, startableWithin } from './releaser.ts';
import type { Wakeup } from './wakeup.ts';

export interface FetchLoopOptions {
  database: Database;
  queue: Queue;
  log: Logger;
  /** The list in force; a function, so that `dev` can reload it. */
  handlers: () => readonly Handler[];
  failures: FailureDeps;
  buffer: JobBuffer;
  completions: Completions;
  executor: Executor;
  pauses: Pauses;
  lanes: Lanes;
  releaser: Releaser;
  wakeup: Wakeup;
  concurrency: number;
  /** Longest wait of an idle worker. */
  pollMs: number;
  /** Aborted when the worker stops taking work. */
  stopping: AbortSignal;
  watchdog?: Pick<Watchdog, 'enter'> | undefined;
  observer?: WorkerObserver | undefined;
}

/** Events that are fetched ahead at most. */
const maxPrefetched = 500;
/** How long it takes, by the forecast, to run the events that are fetched ahead. */
const prefetchMs = 125;
const maxJobsPerFetch = 256;
/** How long an isolated job waits for the fetched events. Then the worker goes on with ordinary jobs for `drainPauseMs`. */
const maxDrainMs = 1_000;
const drainPauseMs = 10_000;

export class FetchLoop {
  readonly #options: FetchLoopOptions;
  /** Of the last jobs; at first the most that a job may carry. */
  #eventsPerJob = maxEventsPerJob;
  #hasIsolated = false;
  #isolatedCheckedAt = Number.NEGATIVE_INFINITY;
  /** Until then, as performance.now(), no isolated job is fetched: a slow handler runs. */
  #isolatedPausedUntilMs = Number.NEGATIVE_INFINITY;
  /** An ordinary fetch goes between two isolated ones: a crash of a worker that held many events must not stop new work. */
  #isOrdinaryTurn = false;

  constructor(options: FetchLoopOptions) {
    this.#options = options;
  }

  /** Ends when `stopping` is aborted. Never rejects. */
  async run(): Promise<void> {
    const { log, wakeup, lanes, pollMs, stopping } = this.#options;
    let failures = 0;
    while (!stopping.aborted) {
      try {
        const isDone = await this.#turn();
        failures = 0;
        if (isDone && !stopping.aborted) await wakeup.wait(Math.min(pollMs, lanes.dueInMs()));
      } catch (error) {
        failures++;
        log.error({ error: describeError(error).text }, 'jobs could not be fetched; trying again');
        const waitMs = Math.min(5_000, 250 * 2 ** failures);
        await delay(waitMs, undefined, { signal: stopping }).catch(() => {}); // aborted: the loop ends
      }
    }
  }

  /** @returns true when nothing can be fetched now */
  async #turn(): Promise<boolean> {
    const { pauses } = this.#options;
    // A pause that began before an event came in holds the event.
    await pauses.settled();
    if (!pauses.areKnown()) await pauses.read();
    if (!this.#isOrdinaryTurn && (await this.#isolatedIsDue())) {
      this.#isOrdinaryTurn = true;
      if (await this.#becomesIdle()) await this.#runIsolated();
      return false;
    }
    const hasLanes = await this.#takeLanes();
    const room = this.#room();
    if (room === 0) return !hasLanes;
    const limit = Math.min(maxJobsPerFetch, floorPowerOfTwo(room / this.#eventsPerJob));
    const jobs = await this.#options.queue.fetch(limit);
    this.#options.observer?.fetched(jobs.length);
    this.#isOrdinaryTurn = false;
    if (jobs.length > 0) await this.#take(jobs);
    // A short fetch means that nothing is left.
    return jobs.length < limit && !hasLanes && !(this.#hasIsolated && !this.#isPaused());
  }

  /** @returns whether jobs were fetched: there may be more */
  async #takeLanes(): Promise<boolean> {
    const { buffer, executor, lanes, concurrency, observer } = this.#options;
    const jobs = await lanes.take(concurrency - executor.busySlots() - buffer.readyLanes());
    if (jobs.length === 0) return false;
    observer?.fetched(jobs.length);
    await this.#start(jobs);
    return true;
  }

  /** The worker may hold events whose rows are locked: their handlers do not run. */
  #isIdle(): boolean {
    const { buffer, executor } = this.#options;
    return buffer.readyCount() === 0 && executor.busySlots() === 0;
  }

  /** Waits for the fetched events; not for long, since a handler may take minutes and other events wait meanwhile. */
  async #becomesIdle(): Promise<boolean> {
    const { buffer, lanes, wakeup, stopping } = this.#options;
    const deadlineMs = performance.now() + maxDrainMs;
    await lanes.release(buffer.takeWaiting());
    while (!this.#isIdle() && !stopping.aborted) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        this.#isolatedPausedUntilMs = performance.now() + drainPauseMs;
        return false;
      }
      await wakeup.wait(leftMs);
    }
    return !stopping.aborted;
  }

  /**
   * Events to be fetched now. Fast handlers get a queue in front of them, slow ones only free slots. The queue is
   * filled when half empty, since a fetch costs about the same for one job as for a hundred.
   */
  #room(): number {
    const { buffer, executor, concurrency } = this.#options;
    const startable = startableWithin(prefetchMs, concurrency, executor.eventMs());
    const ahead = Math.min(maxPrefetched, startable);
    const ready = buffer.readyCount();
    const room = ahead - ready - executor.busySlots();
    return room >= 1 && (room > ahead / 2 || ready === 0) ? room : 0;
  }

  async #take(jobs: readonly FetchedJob[]): Promise<void> {
    const fresh = jobs.filter(({ retryCount }) => retryCount === 0);
    if (fresh.length > 0) {
      const perJob = fresh.reduce((sum, { events }) => sum + events.length, 0) / fresh.length;
      this.#eventsPerJob = Math.max(1, (this.#eventsPerJob + perJob) / 2);
    }
    await this.#start(jobs);
  }

  async #start(jobs: readonly FetchedJob[]): Promise<void> {
    const { buffer, executor, releaser } = this.#options;
    for (const job of jobs.filter(({ retryCount }) => retryCount > 0)) await this.#split(job);
    const fresh = jobs.filter(({ retryCount }) => retryCount === 0);
    if (fresh.length === 0) return;
    await this.#admit(fresh);
    executor.pump();
    await releaser.releasePaused();
    await releaser.releaseLate();
    if (buffer.readyCount() > 0) executor.pump();
  }

  async #admit(jobs: readonly FetchedJob[]): Promise<void> {
    const { buffer, completions, database, handlers, lanes, watchdog } = this.#options;
    let isRefused = false;
    for (const [job, entries] of await readEntries(database, jobs, handlers(), watchdog)) {
      if (job.isIsolated && entries[0]) isRefused = !(await lanes.admitsIsolated(entries[0]));
      if (entries.length === 0) completions.add(job);
      else buffer.hold(job, entries);
    }
    // At once, before anything can start them. An isolated job comes alone.
    await lanes.release(buffer.takeOut((entry) => isRefused || lanes.isWithoutLane(entry)));
  }

  /** A shared job that was lost: any of its events may have ended the process. */
  async #split(job: FetchedJob): Promise<void> {
    const { queue, log, failures, observer } = this.#options;
    const split = await splitLostJob(failures, job, (tx) => queue.complete(tx, [job]));
    if (split.length === 0) return;
    this.#hasIsolated = true;
    observer?.released('lost', split.length);
    log.warn({ jobId: job.id, events: split.length }, 'a job was lost with its worker; its events run alone');
  }

  #isPaused(): boolean {
    return performance.now() < this.#isolatedPausedUntilMs;
  }

  async #isolatedIsDue(): Promise<boolean> {
    const { queue, pollMs } = this.#options;
    if (this.#isPaused()) return false;
    if (!this.#hasIsolated && performance.now() - this.#isolatedCheckedAt >= pollMs) {
      this.#isolatedCheckedAt = performance.now();
      this.#hasIsolated = await queue.hasIsolated();
    }
    return this.#hasIsolated;
  }

  /** While no other handler runs: if the process ends now, this event is the cause. */
  async #runIsolated(): Promise<void> {
    const { queue, executor, lanes, releaser, wakeup, pollMs, observer } = this.#options;
    const job = await queue.fetchIsolated();
    observer?.fetched(job ? 1 : 0);
    this.#hasIsolated = job !== undefined;
    if (!job) return;
    if (job.retryCount > 0) return this.#charge(job);
    executor.isolate(job.id);
    try {
      await this.#admit([job]);
      executor.pump();
      await releaser.releasePaused();
      executor.pump();
      while (executor.busySlots() > 0) await wakeup.wait(pollMs);
      // While its row is locked, the event needs no lane.
      await lanes.leaveIsolated(job);
    } finally {
      executor.isolate(undefined);
    }
    executor.pump();
  }

  /** Its worker ended while nothing else ran there: that is the event's failure. */
  async #charge(job: FetchedJob): Promise<void> {
    const { queue, log, failures, observer } = this.#options;
    const charged = await chargeLoss(
      failures,
      job,
      (tx) => queue.complete(tx, [job]),
      (failuresBefore) => nextDelaySeconds(failuresBefore, failures),
    );
    for (const { source, eventId, failures: attempt, attempts, lastError, isDead } of charged) {
      log.warn(
        { source, eventId, attempt, isDead, reason: lastError },
        'an attempt was lost with its worker',
      );
      if (isDead) log.error({ source, eventId, attempts }, 'the event is a dead letter');
      observer?.attemptEnded(source, isDead ? 'dead' : 'failed');
    }
  }
}

function floorPowerOfTwo(number: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, number))));
}
