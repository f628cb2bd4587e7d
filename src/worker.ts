// Takes jobs as slots come free, runs attempts side by side, hands back what it cannot run.
import { setTimeout as delay } from 'node:timers/promises';
import { collectCompletions } from './completions.ts';
import { describeError } from './errors.ts';
import { readEvents, type StoredEvent } from './events.ts';
import { handBackMany } from './hand-back.ts';
import { type Assignment, type AttemptDeps, assign, isDue, type Outcome, runAttempt } from './handle.ts';
import { batchHandlerOf, runBatch } from './handle-batch.ts';
import { isShareable, mayJoin, runShared } from './handle-shared.ts';
import { trackPace } from './handler-pace.ts';
import type { Handler } from './handlers.ts';
import { logOfHotLines } from './logger.ts';
import type { ClaimedJob, Suspicion } from './queue.ts';
import { CrashError, InterruptedError, settleFailure } from './settle-failure.ts';
import { markLoneStart, readSuspicions } from './suspects.ts';
import type { Watchdog } from './watchdog.ts';

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
  running(): number;
  /**
   * Takes no new work, hands back what has not begun, waits `graceMs` for what runs, then interrupts it.
   * An interrupted attempt is rolled back and costs no failure.
   * @param crash the exception that ends the process: what still runs then may be its cause, and is not handed back
   */
  stop(graceMs: number, crash?: unknown): Promise<void>;
}

const maxInHand = 500;
const maxBatch = 200;
/** Jobs are fetched ahead for about so long; one fetched too early would wait here while another worker is idle. */
const prefetchMs = 250;
const handBackAfterMs = 5_000;
const shownKeys = 20;

interface Held {
  assignment: Assignment;
  heldSince: number;
}

/** Not planned yet: a handler's schema or `entity` may be what ends the process. */
interface Suspect {
  job: ClaimedJob;
  event: StoredEvent;
  suspicion: Suspicion;
}

export function startWorker(options: WorkerOptions): Worker {
  const { database, queue, log, concurrency } = options;
  const pace = trackPace();
  const deps: AttemptDeps = { ...options, pace };
  const attempts = logOfHotLines(log);
  const stopping = new AbortController();
  const ready: Held[] = [];
  // What was lost with an earlier process runs alone: no job besides it is ours when it begins.
  const suspects: Suspect[] = [];
  const held = new Map<string, ClaimedJob>(); // every job that is ours, until it is settled
  const running = new Set<Promise<void>>();
  // Of these: their handlers have returned, only COMMIT is under way. Their slots are free.
  let ending = 0;
  // Beside the first of each transaction.
  let sharing = 0;
  const busyEntities = new Set<string>();
  const completions = collectCompletions({
    queue,
    log,
    isUrgent: () => isStopping,
    onEnded: (jobs) => {
      for (const job of jobs) held.delete(job.id);
    },
  });
  let averageMs = 50;
  let isAlone = false;
  let hadSuspects = false;
  let isStopping = false;
  let wakeUp = Promise.withResolvers<void>();

  const signalChange = () => wakeUp.resolve();

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
        await Promise.race([delay(Math.min(5_000, 250 * 2 ** failures)), stopped]);
        continue;
      }
      await Promise.race([wakeUp.promise, delay(options.pollMs, undefined, { ref: false }), stopped]);
    }
  }

  /**
   * Fast handlers get a queue in front of them, slow ones only free slots. It is filled up when it is half empty, since
   * a fetch costs about the same for one job as for a hundred. Powers of two keep the statements few.
   */
  function roomForMore(): number {
    if (isAlone || suspects.length > 0) return 0;
    // Of several suspects all but one would have to be handed back.
    if (hadSuspects) return running.size < concurrency ? 1 : 0;
    const ahead = Math.min(maxInHand, concurrency * (1 + Math.floor(prefetchMs / Math.max(averageMs, 0.5))));
    const room = ahead - ready.length - running.size - sharing;
    const isWorthIt = room > ahead / 2 || ready.length === 0;
    return room < 1 || !isWorthIt ? 0 : Math.min(256, 2 ** Math.floor(Math.log2(room)));
  }

  async function take(limit: number): Promise<number> {
    const jobs = await queue.fetch(limit);
    if (jobs.length === 0) return 0;
    for (const job of jobs) held.set(job.id, job);
    const { events, suspicions } = await readAbout(jobs).catch((error: unknown) => {
      // Without their events they cannot be run here: their heartbeat ends and they come back.
      for (const job of jobs) held.delete(job.id);
      throw error;
    });
    const byKey = new Map(events.map((event) => [`${event.source}/${event.eventId}`, event]));
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
        ready.push({ assignment: assign(job, event, options.handlers()), heldSince: performance.now() });
      }
    }
    leave();
    hadSuspects = suspects.length > 0;
    pump();
    return jobs.length;
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

  function pump(): void {
    if (isAlone) return;
    while (running.size - ending < concurrency && !isStopping) {
      const index = ready.findIndex(({ assignment }) =>
        entitiesOf(assignment).every((entity) => !busyEntities.has(entity)),
      );
      if (index === -1) break;
      const [{ assignment }] = ready.splice(index, 1) as [Held];
      const handler = batchHandlerOf(assignment);
      const batch = handler ? [assignment, ...takeBatch(handler)] : [assignment];
      if (handler && batch.length > 1) start(runMany(handler, batch));
      else start(isShareable(assignment, pace) ? runTogether(assignment) : runOne(assignment));
    }
    if (suspects.length > 0 && running.size === 0 && !isStopping) start(runAlone());
  }

  function start(work: Promise<void>): void {
    const task = work.finally(() => {
      running.delete(task);
      pump();
      signalChange();
    });
    running.add(task);
  }

  /** The oldest suspect, when everything else has ended; what else is in hand goes to other workers. */
  async function runAlone(): Promise<void> {
    isAlone = true;
    try {
      const [suspect] = suspects.splice(0, 1) as [Suspect];
      await handBackAll(suspects.splice(0), 'it has to run alone').catch(reportHandBack);
      await completions.settled();
      if (isStopping) await handBackAll([suspect], 'its worker stops').catch(reportHandBack);
      else await runSuspect(suspect);
    } finally {
      isAlone = false;
    }
  }

  async function runSuspect({ job, event, suspicion }: Suspect): Promise<void> {
    const leave = enter('running alone', [job]);
    try {
      await database.transaction((tx) => markLoneStart(tx, job));
      await runOne(assign(job, event, options.handlers(), suspicion));
    } catch (error) {
      held.delete(job.id);
      log.error(
        { ...job.key, error: describeError(error).text },
        'a start could not be recorded; the job comes back',
      );
    } finally {
      leave();
    }
  }

  function takeBatch(handler: Handler): Assignment[] {
    const taken: Assignment[] = [];
    for (let index = 0; index < ready.length && taken.length < maxBatch - 1; ) {
      if (batchHandlerOf(ready[index]!.assignment) === handler)
        taken.push(ready.splice(index, 1)[0]!.assignment);
      else index++;
    }
    return taken;
  }

  async function runMany(handler: Handler, batch: Assignment[]): Promise<void> {
    const startedAt = performance.now();
    const leave = enter(
      'running together',
      batch.map(({ job }) => job),
    );
    const isDone = await runBatch(handler, batch, deps, stopping.signal).finally(leave);
    const eachMs = (performance.now() - startedAt) / batch.length;
    for (const assignment of batch) {
      if (isDone) finish(assignment, { kind: 'processed', isJobSettled: false }, eachMs);
      else await runOne(assignment);
    }
  }

  async function runOne(assignment: Assignment): Promise<void> {
    const entities = entitiesOf(assignment);
    for (const entity of entities) busyEntities.add(entity);
    const leave = enter('running', [assignment.job]);
    const ends = markEnding();
    await settle(assignment, () => runAttempt(assignment, deps, stopping.signal, ends.begin));
    ends.end();
    leave();
    for (const entity of entities) busyEntities.delete(entity);
  }

  /** While more waits than there are slots, a quick attempt is followed by others in its transaction. */
  async function runTogether(first: Assignment): Promise<void> {
    let leave = enter('running', [first.job]);
    let joined = 0;
    const takeNext = (ageMs: number, events: number) => {
      const next = ready[0]?.assignment;
      if (!next || isStopping || suspects.length > 0) return undefined;
      if (!mayJoin(ageMs, events) || !isShareable(next, pace)) return undefined;
      ready.shift();
      joined++;
      sharing++;
      leave();
      leave = enter('running', [next.job]);
      return next;
    };
    const ends = markEnding();
    const { processed, failed, alone } = await runShared(first, takeNext, deps, stopping.signal, ends.begin);
    ends.end();
    leave();
    for (const { assignment, durationMs } of processed) {
      finish(assignment, { kind: 'processed', isJobSettled: false }, durationMs);
    }
    for (const { assignment, error, startedAt } of failed) {
      await settle(assignment, () => settleFailure(assignment, error, startedAt, deps));
    }
    for (const assignment of alone) await runOne(assignment);
    sharing -= joined;
  }

  function markEnding() {
    let isEnding = false;
    return {
      begin: () => {
        isEnding = true;
        ending++;
        pump();
      },
      end: () => {
        if (isEnding) ending--;
      },
    };
  }

  async function settle(assignment: Assignment, attempt: () => Promise<Outcome>): Promise<void> {
    const startedAt = performance.now();
    try {
      finish(assignment, await attempt(), performance.now() - startedAt);
    } catch (error) {
      // The outcome could not be recorded: the job stays active, and its heartbeat's end brings it back.
      held.delete(assignment.job.id);
      log.error(
        {
          source: assignment.event.source,
          eventId: assignment.event.eventId,
          error: describeError(error).text,
        },
        'an attempt could not be recorded; the job comes back when its heartbeat has ended',
      );
    }
  }

  function finish(assignment: Assignment, outcome: Outcome, durationMs: number): void {
    averageMs = averageMs * 0.95 + durationMs * 0.05;
    const { source, eventId, topic } = assignment.event;
    const level = outcome.kind === 'failed' ? 'warn' : 'info';
    attempts[level](
      {
        source,
        eventId,
        topic,
        attempt: assignment.job.retryCount + 1,
        outcome: outcome.kind,
        ms: Math.round(durationMs),
        ...(outcome.reason ? { reason: outcome.reason } : {}),
      },
      'attempt',
    );
    if (outcome.isJobSettled) held.delete(assignment.job.id);
    else completions.add(assignment.job);
    if (outcome.isDead) options.onDead?.();
  }

  async function beat(): Promise<void> {
    const ended = await database.endDeadTransactions();
    if (ended)
      log.warn({ count: ended }, 'attempts had lost their connection without a sign; they were ended');
    const now = performance.now();
    const tooLong = ready.filter(({ heldSince }) => now - heldSince > handBackAfterMs);
    if (tooLong.length && !isStopping) {
      for (const waiting of tooLong) ready.splice(ready.indexOf(waiting), 1);
      await handBackAll(assignments(tooLong), 'its worker is busy');
      averageMs = Math.max(averageMs, handBackAfterMs);
    }
    if (held.size) await queue.touch([...held.values()]);
  }

  async function handBackAll(
    waiting: readonly Pick<Assignment, 'job' | 'event' | 'suspicion'>[],
    reason: string,
  ): Promise<void> {
    // Before it is tried: if it fails, no heartbeat must keep them from other workers.
    for (const { job } of waiting) held.delete(job.id);
    await handBackMany(waiting, deps, reason);
  }

  const reportHandBack = (error: unknown) =>
    log.warn(
      { error: describeError(error).text },
      'waiting jobs could not be handed back; their heartbeat ends instead',
    );
  const stopped = new Promise<void>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(), { once: true });
  });
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
    running: () => running.size,
    stop: async (graceMs, crash) => {
      if (isStopping) return;
      isStopping = true;
      signalChange();
      const waiting = [...assignments(ready.splice(0)), ...suspects.splice(0)];
      // Beside the grace: hundreds of them would use up the time that the running ones need to be interrupted in.
      const handedBack = handBackAll(waiting, 'its worker stops').catch(reportHandBack);
      const ended = Promise.all([...running]).then(() => {});
      await Promise.race([ended, delay(graceMs, undefined, { ref: false })]);
      stopping.abort(crash === undefined ? new InterruptedError('its worker stops') : new CrashError(crash));
      await Promise.all([...running, looping, handedBack]);
      const late = [...assignments(ready.splice(0)), ...suspects.splice(0)];
      await handBackAll(late, 'its worker stops').catch(reportHandBack);
      await completions.settled();
      clearInterval(beating);
    },
  };
}

function assignments(waiting: readonly Held[]): Assignment[] {
  return waiting.map(({ assignment }) => assignment);
}

function entitiesOf({ event, plan }: Assignment): string[] {
  if (plan.kind !== 'run') return [];
  return plan.runs.flatMap(({ entity }) => (entity === null ? [] : [`${event.source}/${entity}`]));
}
