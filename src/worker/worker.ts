// The worker: its parts put together, its heartbeat, and its stop.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Handler } from '../handlers/handler.ts';
import type { Logger } from '../logger.ts';
import type { Queue } from '../queue/queue.ts';
import type { Watchdog } from '../watchdog.ts';
import { CrashError, InterruptedError } from './attempt-errors.ts';
import { Completions } from './completions.ts';
import { Executor } from './executor.ts';
import type { FailureDeps } from './failure.ts';
import { FetchLoop } from './fetch-loop.ts';
import { JobBuffer } from './job-buffer.ts';
import { Lanes } from './lanes.ts';
import type { WorkerObserver } from './observer.ts';
import { OutcomeRecorder } from './outcome-recorder.ts';
import { Pauses } from './pauses.ts';
import { Releaser } from './releaser.ts';
import { Timings } from './timings.ts';
import { Wakeup } from './wakeup.ts';

export interface WorkerOptions extends Omit<FailureDeps, 'queue'> {
  database: Database;
  queue: Queue;
  log: Logger;
  /** The list in force; a function, so that `dev` can reload it. */
  handlers: () => readonly Handler[];
  /** As WORKER_CONCURRENCY. */
  concurrency: number;
  /** As HANDLER_TIMEOUT_SECONDS, in ms. */
  timeoutMs: number;
  /** As HEARTBEAT_SECONDS, in ms. */
  heartbeatMs: number;
  /** Longest wait of an idle worker. */
  pollMs: number;
  watchdog?: Pick<Watchdog, 'enter'>;
  /** Gets the results. */
  observer?: WorkerObserver;
}

export interface Worker {
  /** There may be work: a notification, a replay. */
  wake(): void;
  /** A pause began or ended. */
  readPauses(): void;
  /** What it holds now: jobs, and slots whose work runs. */
  held(): { jobs: number; busySlots: number };
  /**
   * Takes no new work, releases events whose handlers have not started, waits `graceMs` for those that run, then
   * interrupts them. An interrupted attempt is rolled back and costs no failure.
   * @param crash the exception that ends the process: an event that runs now may be its cause, and is not released
   */
  stop(graceMs: number, crash?: unknown): Promise<void>;
}

/** How often forecasts and locked rows are looked at again. */
const tickMs = 250;

export function startWorker(options: WorkerOptions): Worker {
  const { database, queue, log } = options;
  const stopping = new AbortController();
  const interrupting = new AbortController();
  const wakeup = new Wakeup();
  const buffer = new JobBuffer();
  const completions = new Completions({ ...options, wakeup });
  const signals = { stopping: stopping.signal, signal: interrupting.signal };
  const attempts = { ...options, ...signals, timings: new Timings() };
  const pauses = new Pauses(database, options.handlers);
  const shared = { ...options, failures: options, buffer, completions, pauses, wakeup, ...signals };
  const outcomes = new OutcomeRecorder(shared);
  const executor = new Executor({ ...shared, attempts, outcomes, watchdog: options.watchdog });
  const lanes = new Lanes(shared);
  const releaser = new Releaser({ ...shared, executor });
  const fetchLoop = new FetchLoop({ ...shared, executor, lanes, releaser });

  const beat = createTask('the heartbeat failed; trying again', log, async () => {
    const ended = await database.endDeadTransactions();
    if (ended > 0)
      log.warn({ count: ended }, 'attempts had lost their connection without a sign; they were ended');
    const held = buffer.jobs();
    if (held.length > 0) await queue.touch(held);
  });
  const tick = createTask('waiting events could not be looked at; trying again', log, async () => {
    if (stopping.signal.aborted) return;
    await releaser.releasePaused();
    await releaser.releaseLate();
    await executor.probeLocked();
    executor.pump();
    await lanes.freeLocked();
  });
  const readPauses = async () => {
    if (stopping.signal.aborted) return;
    await pauses.read();
    await releaser.releasePaused();
    executor.pump();
  };
  const pausesUnread = 'the pauses could not be read; trying again';
  const timers = [
    setInterval(beat, Math.min(options.heartbeatMs / 3, 5_000)),
    setInterval(tick, tickMs),
    setInterval(createTask(pausesUnread, log, readPauses), options.pollMs),
  ];
  const looping = fetchLoop.run();

  return {
    wake: () => {
      lanes.noteNews();
      wakeup.wake();
    },
    // Also while another read is under way: it may have seen the pauses before the change.
    readPauses: createTask(pausesUnread, log, readPauses, true),
    held: () => ({ jobs: buffer.jobs().length, busySlots: executor.busySlots() }),
    stop: async (graceMs, crash) => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      wakeup.wake();
      // Beside the grace: hundreds of events would use up the time that the running ones need to be interrupted in.
      const releasing = releaser.releaseAll();
      await Promise.race([executor.drained(), delay(graceMs, undefined, { ref: false })]);
      const reason = crash === undefined ? new InterruptedError('its worker stops') : new CrashError(crash);
      interrupting.abort(reason);
      await Promise.all([executor.drained(), looping, releasing]);
      await releaser.releaseAll(); // events of the last fetch, and of transactions that did not start them
      await completions.drain();
      for (const timer of timers) clearInterval(timer);
    },
  };
}

/** One pass at a time, unless they may overlap: a pass that comes while another runs is left out. */
function createTask(
  whatFailed: string,
  log: Logger,
  pass: () => Promise<void>,
  mayOverlap = false,
): () => void {
  let isRunning = false;
  return () => {
    if (isRunning && !mayOverlap) return;
    isRunning = true;
    pass()
      .catch((error: unknown) => log.warn({ error: describeError(error).text }, whatFailed))
      .finally(() => {
        isRunning = false;
      });
  };
}
