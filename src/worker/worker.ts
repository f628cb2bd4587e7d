// The worker's loop: takes jobs as slots come free, keeps up their heartbeat, hands back what it cannot run.
import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import { readSuspicions } from '../events/crashes.ts';
import { readEvents } from '../events/event.ts';
import { lockFreeRows } from '../events/locks.ts';
import type { Handler } from '../handlers/handler.ts';
import type { ClaimedJob } from '../queue/queue.ts';
import type { Watchdog } from '../watchdog.ts';
import { type Assignment, type AttemptDeps, assign, isDue, type JobInHand } from './attempt.ts';
import { collectCompletions } from './completions.ts';
import { runAttempts } from './executor.ts';
import { CrashError, InterruptedError, putOffHeld } from './failure.ts';
import { JobsInHand, type Suspect } from './job-buffer.ts';
import { handBackMany } from './requeue.ts';
import { isShareable } from './shared-transaction.ts';
import { trackPace } from './timings.ts';

export interface WorkerOptions extends Omit<AttemptDeps, 'pace'> {
  /** The list in force; a function, so that `dev` can reload it. */
  handlers: () => readonly Handler[];
  concurrency: number;
  /** As HEARTBEAT_SECONDS, in ms. */
  heartbeatMs: number;
  /** Longest wait of an idle worker. */
  pollMs: number;
  /** Is told what runs. */
  watchdog?: Pick<Watchdog, 'enter'>;
  /** A job went to the dead-letter queue: somebody should look there. */
  onDead?: () => void;
}

export interface Worker {
  /** There may be work: a notification, a replay. */
  wake(): void;
  /**
   * Takes no new work, hands back what has not begun, waits `graceMs` for what runs, then interrupts it.
   * An interrupted attempt is rolled back and costs no failure.
   * @param crash the exception that ends the process: what still runs then may be its cause, and is not handed back
   */
  stop(graceMs: number, crash?: unknown): Promise<void>;
}

const maxInHand = 500;
/** Jobs are fetched ahead for about so long; one fetched too early would wait here while another worker is idle. */
const prefetchMs = 250;
const handBackAfterMs = 5_000;
const shownKeys = 20;

export function startWorker(options: WorkerOptions): Worker {
  const { database, queue, log, concurrency } = options;
  const deps: AttemptDeps = { ...options, pace: trackPace() };
  const stopping = new AbortController();
  const hand = new JobsInHand();
  let hadSuspects = false;
  let isStopping = false;
  let isCrashing = false;
  const handingBack = new Set<Promise<void>>();
  let wakeUp = Promise.withResolvers<void>();
  const signalChange = () => wakeUp.resolve();

  const completions = collectCompletions({
    queue,
    log,
    isUrgent: () => isStopping,
  });
  const attempts = runAttempts({
    deps,
    hand,
    completions,
    handlers: options.handlers,
    concurrency,
    signal: stopping.signal,
    isStopping: () => isStopping,
    isCrashing: () => isCrashing,
    handBack,
    putOff,
    enter,
    onFree: signalChange,
    onDead: () => options.onDead?.(),
  });

  async function loop(): Promise<void> {
    let failures = 0;
    while (!isStopping) {
      wakeUp = Promise.withResolvers();
      const room = roomForMore();
      try {
        const isFull = room > 0 ? (await take(room)) === room : true;
        failures = 0;
        // A short fetch means that nothing is left; a full one, or no room, goes on as soon as a slot is free.
        if (isStopping || (isFull && roomForMore() > 0)) continue;
      } catch (error) {
        failures++;
        log.error({ error: describeError(error).text }, 'jobs could not be fetched; trying again');
        const waitMs = Math.min(5_000, 250 * 2 ** failures);
        await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {}); // aborted: it stops
        continue;
      }
      // Not a race against a promise that outlives this pass: each pass would leave its reaction there.
      const idle = setTimeout(signalChange, options.pollMs).unref();
      await wakeUp.promise;
      clearTimeout(idle);
    }
  }

  /**
   * Fast handlers get a queue in front of them, slow ones only free slots. It is filled up when it is half empty, since
   * a fetch costs about the same for one job as for a hundred. Powers of two keep the statements few.
   */
  function roomForMore(): number {
    if (attempts.isAlone() || hand.suspectCount() > 0) return 0;
    const { slots, events } = attempts.counts();
    // Of several suspects all but one would have to be handed back.
    if (hadSuspects) return slots < concurrency ? 1 : 0;
    const aheadOfSlot = Math.floor(prefetchMs / Math.max(attempts.averageMs(), 0.5));
    const ahead = Math.min(maxInHand, concurrency * (1 + aheadOfSlot));
    const room = ahead - hand.readyCount() - events;
    const isWorthIt = room > ahead / 2 || hand.readyCount() === 0;
    return room < 1 || !isWorthIt ? 0 : Math.min(256, 2 ** Math.floor(Math.log2(room)));
  }

  async function take(limit: number): Promise<number> {
    const fetched = await queue.fetch(limit);
    if (fetched.length === 0) return 0;
    // A lost claim gives a job out again, perhaps to the very worker that still runs it: it waits for that attempt's end.
    const here = hand.alreadyHere(fetched);
    const jobs = fetched.filter((job) => !here.has(job));
    hand.hold(jobs);
    try {
      await putOffJobs([...here], 'another attempt of their events still runs here');
      await plan(jobs);
    } catch (error) {
      // Without their events they cannot be run here: their heartbeat ends and they come back.
      hand.release(jobs);
      throw error;
    }
    hadSuspects = hand.suspectCount() > 0;
    attempts.pump();
    return fetched.length;
  }

  async function plan(jobs: readonly ClaimedJob[]): Promise<void> {
    const { events, suspicions } = await readAbout(jobs);
    const byKey = new Map(events.map((event) => [`${event.source}/${event.eventId}`, event]));
    const suspects: Suspect[] = [];
    const ready: Assignment[] = [];
    const leave = enter('planning', jobs);
    for (const job of jobs) {
      const event = byKey.get(`${job.key.source}/${job.key.eventId}`);
      const suspicion = suspicions.get(job.id);
      if (!event) {
        log.warn({ jobId: job.id }, 'a job names an event that does not exist; completed');
        completions.add(job);
      } else if (suspicion && isDue({ job, event })) {
        suspects.push({ job, event, suspicion });
      } else {
        ready.push(assign(job, event, options.handlers()));
      }
    }
    leave();
    const held = await findHeld([...suspects, ...ready.filter((one) => !isShareable(one, deps.pace))]);
    for (const one of suspects) if (!held.has(one)) hand.addSuspect(one);
    for (const one of ready) if (!held.has(one)) hand.addReady(one);
    await putOff([...held]);
  }

  /**
   * Those whose events' rows another transaction holds: their handlers are not started. What shares a transaction is
   * locked in it; for all others the lock is let go at once, since a handler may take minutes.
   */
  async function findHeld(waiting: readonly JobInHand[]): Promise<Set<JobInHand>> {
    const due = waiting.filter(isDue);
    if (due.length === 0) return new Set();
    const free = await lockFreeRows(
      database,
      due.map(({ job }) => job),
    );
    return new Set(due.filter(({ job }) => !free.has(job.id)));
  }

  function enter(what: string, jobs: readonly ClaimedJob[]): () => void {
    if (!options.watchdog) return () => {};
    const names = jobs.slice(0, shownKeys).map(({ key }) => `${key.source} ${key.eventId}`);
    if (jobs.length > shownKeys) names.push(`${jobs.length - shownKeys} more`);
    return options.watchdog.enter(`${what} ${names.join(', ')}`);
  }

  /** Of all jobs the events; of the few that were not taken for the first time what is held against them. */
  async function readAbout(jobs: readonly ClaimedJob[]) {
    const again = jobs.filter((job) => job.retryCount > 0 || job.suspicion);
    const [events, suspicions] = await Promise.all([
      readEvents(
        database,
        jobs.map((job) => job.key),
      ),
      readSuspicions(
        database,
        again.map(({ id, key, retryCount, suspicion }) => ({ id, key, ended: retryCount, suspicion })),
      ),
    ]);
    return { events, suspicions };
  }

  async function beat(): Promise<void> {
    const ended = await database.endDeadTransactions();
    if (ended)
      log.warn({ count: ended }, 'attempts had lost their connection without a sign; they were ended');
    const overdue = isStopping ? [] : hand.takeOverdue(handBackAfterMs);
    if (overdue.length > 0) {
      await handBack(overdue, 'its worker is busy');
      attempts.noteWait(handBackAfterMs);
    }
    const held = hand.held();
    if (held.length > 0) await queue.touch(held);
  }

  /** Never rejects. */
  function handBack(waiting: readonly JobInHand[], reason: string): Promise<void> {
    // Before it is tried: if it fails, no heartbeat must keep them from other workers.
    hand.release(waiting.map(({ job }) => job));
    return giveBack(waiting.length, () => handBackMany(waiting, deps, reason));
  }

  /** Never rejects. */
  function putOff(waiting: readonly JobInHand[]): Promise<void> {
    const jobs = waiting.map(({ job }) => job);
    hand.release(jobs);
    return putOffJobs(jobs, "their events' rows are held by other transactions");
  }

  function putOffJobs(jobs: readonly ClaimedJob[], reason: string): Promise<void> {
    if (jobs.length === 0) return Promise.resolve();
    log.info({ jobs: jobs.length, reason }, 'jobs were put off; nothing is charged');
    return giveBack(jobs.length, () =>
      database.transaction((tx) => putOffHeld(tx, jobs, queue), { settings: { synchronous_commit: 'on' } }),
    );
  }

  function giveBack(count: number, record: () => Promise<void>): Promise<void> {
    const work = record()
      .catch((error: unknown) =>
        log.warn(
          { error: describeError(error).text, jobs: count },
          'waiting jobs could not be handed back; their heartbeat ends instead',
        ),
      )
      .finally(() => handingBack.delete(work));
    handingBack.add(work);
    return work;
  }

  const beating = setInterval(
    () => {
      beat().catch((error) =>
        log.warn({ error: describeError(error).text }, 'the heartbeat failed; trying again'),
      );
    },
    Math.min(options.heartbeatMs / 3, handBackAfterMs),
  );
  const looping = loop();

  return {
    wake: signalChange,
    stop: async (graceMs, crash) => {
      if (isStopping) return;
      isStopping = true;
      isCrashing = crash !== undefined;
      signalChange();
      // Beside the grace: hundreds of them would use up the time that the running ones need to be interrupted in.
      void handBack(hand.takeAll(), 'its worker stops');
      await Promise.race([attempts.ended(), delay(graceMs, undefined, { ref: false })]);
      stopping.abort(isCrashing ? new CrashError(crash) : new InterruptedError('its worker stops'));
      await Promise.all([attempts.ended(), looping]);
      void handBack(hand.takeAll(), 'its worker stops'); // what the last fetch brought
      await Promise.all(handingBack);
      await completions.settled();
      clearInterval(beating);
    },
  };
}
