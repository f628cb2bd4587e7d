// Runs fetched events in the worker's slots: alone, several in one transaction, or by a handler's `batch`.
import { claimRows } from '../events/locks.ts';
import { markIgnored } from '../events/outcomes.ts';
import type { Handler } from '../handlers/handler.ts';
import { keyText } from '../queue/queue.ts';
import type { Watchdog } from '../watchdog.ts';
import { type AttemptDeps, runAttempt } from './attempt.ts';
import { CrashError } from './attempt-errors.ts';
import { batchHandlerOf, maxBatchEvents, runBatch } from './batch.ts';
import type { Completions } from './completions.ts';
import type { FailureDeps } from './failure.ts';
import { claimOf, describeWork, type Entry } from './job.ts';
import type { JobBuffer } from './job-buffer.ts';
import type { WorkerObserver } from './observer.ts';
import type { OutcomeRecorder } from './outcome-recorder.ts';
import type { Pauses } from './pauses.ts';
import { limitOf, runsOf } from './plan.ts';
import { releaseEntries, releaseToLanes } from './release-entries.ts';
import { isShareable, maxSharedEvents, maxSharedMs, runShared } from './shared-transaction.ts';
import { endAttempt } from './spans.ts';
import type { Wakeup } from './wakeup.ts';

export interface ExecutorOptions {
  attempts: AttemptDeps;
  /** For events that are given back. */
  failures: FailureDeps;
  buffer: JobBuffer;
  completions: Completions;
  outcomes: OutcomeRecorder;
  /** No handler of an event that a pause holds is started. */
  pauses: Pick<Pauses, 'holdsNone' | 'holds'>;
  /** Slots. */
  concurrency: number;
  watchdog: Pick<Watchdog, 'enter'> | undefined;
  /** Woken when a slot is free. */
  wakeup: Wakeup;
  observer?: WorkerObserver | undefined;
}

const maxIgnoredTogether = 500;

/** Work that takes a slot until it is done. */
interface Work {
  entries: readonly Entry[];
  done: Promise<void>;
}

export class Executor {
  readonly #options: ExecutorOptions;
  /** The work of each busy slot: its entries, and its start as performance.now(). */
  readonly #running = new Map<Promise<void>, { entries: readonly Entry[]; startedAt: number }>();
  readonly #busyEntities = new Set<string>();
  #isolatedJobId: string | undefined;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Starts as much of what is ready as there are slots for. */
  pump(): void {
    const { concurrency } = this.#options;
    while (!this.#isStopping() && this.#running.size < concurrency) {
      const work = this.#next();
      if (!work) return;
      this.#start(work);
    }
  }

  /** From now on only events of this job start; undefined: of every job. */
  isolate(jobId: string | undefined): void {
    this.#isolatedJobId = jobId;
  }

  /** Slots in use. */
  busySlots(): number {
    return this.#running.size;
  }

  /** How long an event takes, by the last ones; and by those that run, where every slot is busy. */
  eventMs(): number {
    const { attempts, concurrency } = this.#options;
    if (this.#running.size < concurrency) return attempts.timings.eventMs();
    const now = performance.now();
    const shares = Array.from(this.#running.values(), ({ entries, startedAt }) =>
      shareOfEachMs(entries, now - startedAt),
    );
    return Math.max(attempts.timings.eventMs(), Math.min(...shares));
  }

  /** Looks again at the rows that were locked. */
  async probeLocked(): Promise<void> {
    const { buffer, attempts, outcomes } = this.#options;
    const probes = buffer.takeProbes(performance.now());
    if (probes.length === 0) return;
    try {
      const claims = probes.map(({ entry }) => claimOf(entry));
      const free = new Set((await claimRows(attempts.database, claims)).map(keyText));
      for (const { entry, waitMs } of probes) {
        if (!free.has(entry.key)) await outcomes.settleUnclaimed([entry], waitMs);
        else if (entry.unrecorded) await outcomes.settle(entry, entry.unrecorded);
        else if (entry.job.isIsolated) await this.#releaseUnrun(entry, 'isolated');
        else if (entry.job.lane !== undefined || limitOf(entry.plan))
          await this.#releaseUnrun(entry, 'limited');
        else buffer.putBack([entry]);
      }
    } catch (error) {
      for (const { entry } of probes) outcomes.giveUp(entry, error);
    }
    this.pump();
  }

  #isStopping(): boolean {
    return this.#options.attempts.stopping.aborted;
  }

  async drained(): Promise<void> {
    await Promise.all(this.#running.keys());
  }

  #start({ entries, done }: Work): void {
    const task = done.finally(() => {
      this.#running.delete(task);
      this.pump();
      this.#options.wakeup.wake();
    });
    this.#running.set(task, { entries, startedAt: performance.now() });
  }

  #next(): Work | undefined {
    const [first] = this.#take((entry) => this.#isFree(entry));
    if (!first) return undefined;
    const entries: [Entry, ...Entry[]] = [first, ...this.#othersFor(first)];
    return { entries, done: this.#run(entries) };
  }

  /** Takes more events from the buffer, which run together with the first. */
  #othersFor(first: Entry): Entry[] {
    const handler = batchHandlerOf(first);
    if (first.job.lane !== undefined) return handler ? this.#batchInLane(first, handler) : [];
    if (first.plan.kind === 'ignore')
      return this.#take(({ plan }) => plan.kind === 'ignore', maxIgnoredTogether - 1);
    if (handler) return this.#take((entry) => batchHandlerOf(entry) === handler, maxBatchEvents - 1);
    return isShareable(first) ? this.#take(isShareable, this.#roomToShare(first) - 1) : [];
  }

  /** A lane runs one event, or one batch of its own events, at a time. */
  #batchInLane(first: Entry, handler: Handler): Entry[] {
    const { buffer, pauses } = this.#options;
    const fits = (entry: Entry) => batchHandlerOf(entry) === handler && !pauses.holds(entry.event);
    return buffer.takeBehind(first, fits, maxBatchEvents - 1);
  }

  #take(fits: (entry: Entry) => boolean, most = 1): Entry[] {
    const { buffer, pauses } = this.#options;
    if (pauses.holdsNone()) return buffer.take(fits, most);
    return buffer.take((entry) => fits(entry) && !pauses.holds(entry.event), most);
  }

  #run(entries: readonly [Entry, ...Entry[]]): Promise<void> {
    const [first] = entries;
    if (first.plan.kind === 'ignore') return this.#ignore(entries);
    if (entries.length === 1) return this.#runAlone(first);
    const handler = batchHandlerOf(first);
    return handler ? this.#runBatch(handler, entries) : this.#runShared(entries);
  }

  /** How many events a shared transaction may hold: each free slot gets an equal share, and no transaction takes longer than `maxSharedMs`. */
  #roomToShare({ plan }: Entry): number {
    const { attempts, buffer, concurrency } = this.#options;
    const freeSlots = concurrency - this.#running.size;
    const eventMs = runsOf(plan).reduce((sum, { handler }) => sum + attempts.timings.handlerMs(handler), 0);
    const fair = Math.ceil((buffer.readyCount() + 1) / freeSlots);
    const quick = Math.max(1, Math.floor(maxSharedMs / eventMs));
    return Math.min(maxSharedEvents, fair, quick);
  }

  #isFree(entry: Entry): boolean {
    if (this.#isolatedJobId !== undefined && entry.job.id !== this.#isolatedJobId) return false;
    return entitiesOf(entry).every((entity) => !this.#busyEntities.has(entity));
  }

  async #runAlone(entry: Entry): Promise<void> {
    const { attempts, outcomes } = this.#options;
    const startedAt = performance.now();
    const entities = entitiesOf(entry);
    for (const entity of entities) this.#busyEntities.add(entity);
    const leave = this.#enter('running', [entry]);
    const result = await runAttempt(entry, attempts);
    if (result.kind === 'threw') await outcomes.settle(entry, result, startedAt);
    else if (result.kind === 'unclaimed') await outcomes.settleUnclaimed([entry]);
    else outcomes.conclude(entry, result, performance.now() - startedAt);
    leave();
    for (const entity of entities) this.#busyEntities.delete(entity);
    attempts.timings.recordEvent(performance.now() - startedAt);
  }

  async #runShared(entries: readonly Entry[]): Promise<void> {
    const { attempts, buffer, outcomes } = this.#options;
    const startedAt = performance.now();
    const leave = this.#enter('running', entries);
    const { processed, threw, unclaimed, alone, unrun } = await runShared(entries, attempts);
    leave();
    buffer.putBack(unrun);
    for (const entry of alone) endAttempt(entry, 'rolled_back');
    const ran = Math.max(1, processed.length + threw.length);
    attempts.timings.recordEvent((performance.now() - startedAt) / ran);
    for (const { entry, ms } of processed) outcomes.conclude(entry, { kind: 'processed' }, ms);
    for (const { entry, ...attempt } of threw) await outcomes.settle(entry, attempt);
    await outcomes.settleUnclaimed(unclaimed);
    await this.#runEach(alone);
  }

  async #runBatch(handler: Handler, entries: readonly Entry[]): Promise<void> {
    const { attempts, outcomes } = this.#options;
    const startedAt = performance.now();
    const leave = this.#enter('running together', entries);
    const { processed, unclaimed, alone } = await runBatch(handler, entries, attempts);
    leave();
    const eachMs = (performance.now() - startedAt) / entries.length;
    if (processed.length > 0) attempts.timings.recordEvent(eachMs);
    for (const entry of processed) outcomes.conclude(entry, { kind: 'processed' }, eachMs);
    await outcomes.settleUnclaimed(unclaimed);
    await this.#runEach(alone);
  }

  /** One by one, in the slot of the transaction that was rolled back. */
  async #runEach(entries: readonly Entry[]): Promise<void> {
    const { attempts, buffer, pauses } = this.#options;
    for (const [index, entry] of entries.entries()) {
      if (!this.#isStopping()) {
        // A pause may have begun because of what made the others fail.
        if (pauses.holds(entry.event)) buffer.putBack([entry]);
        else await this.#runAlone(entry);
        continue;
      }
      const rest = entries.slice(index);
      // After a crash each of them may be its cause: they are found as lost, and run alone next.
      if (attempts.signal.reason instanceof CrashError) for (const one of rest) buffer.dropJobOf(one);
      else buffer.putBack(rest);
      return;
    }
  }

  /** No handler wants them: one statement for all. */
  async #ignore(entries: readonly Entry[]): Promise<void> {
    const { attempts, outcomes } = this.#options;
    try {
      const ignored = entries.map((entry) => ({ ...claimOf(entry), reason: reasonOf(entry), entity: null }));
      const done = new Set((await markIgnored(attempts.database, ignored)).map(keyText));
      for (const entry of entries.filter(({ key }) => done.has(key)))
        outcomes.conclude(entry, { kind: 'ignored', reason: reasonOf(entry) }, 0);
      await outcomes.settleUnclaimed(entries.filter(({ key }) => !done.has(key)));
    } catch (error) {
      for (const entry of entries) outcomes.giveUp(entry, error);
    }
  }

  /** Others run by now, or hold its lane: the event gets another job of its kind. */
  async #releaseUnrun(entry: Entry, reason: 'isolated' | 'limited'): Promise<void> {
    const { attempts, buffer } = this.#options;
    const deps = { ...this.#options, log: attempts.log };
    const locked =
      reason === 'isolated'
        ? await releaseEntries([entry], reason, deps)
        : await releaseToLanes([entry], deps);
    if (locked.length > 0) buffer.waitForLock(entry, performance.now());
  }

  /** @returns to be called when the work has ended */
  #enter(activity: string, entries: readonly Entry[]): () => void {
    const { watchdog } = this.#options;
    const events = entries.map(({ event }) => event);
    return watchdog?.enter(describeWork(activity, events)) ?? (() => {});
  }
}

/** The time of each entry, of `runningMs` that their slot has been busy. */
export function shareOfEachMs(entries: readonly Entry[], runningMs: number): number {
  // A shared transaction starts no handler after `maxSharedMs`: if it still runs, a single handler or COMMIT takes long.
  const isOneHandler = runningMs > 2 * maxSharedMs && !batchHandlerOf(entries[0]!);
  return isOneHandler ? runningMs : runningMs / entries.length;
}

function entitiesOf({ event, plan }: Entry): string[] {
  return runsOf(plan).flatMap(({ entity }) => (entity === null ? [] : [`${event.source}/${entity}`]));
}

function reasonOf({ plan }: Entry): string {
  return plan.kind === 'ignore' ? plan.reason : '';
}
