// Runs what is in hand in a worker's slots: one by one, several in one transaction, a handler's `batch`, or alone.

import { describeError } from '../errors.ts';
import { markLoneStart } from '../events/crashes.ts';
import { lockRow, RowHeldError } from '../events/locks.ts';
import type { Handler } from '../handlers/handler.ts';
import { createUnredactedLogger } from '../logger.ts';
import type { ClaimedJob } from '../queue/queue.ts';
import {
  type Assignment,
  type AttemptDeps,
  assign,
  type JobInHand,
  type Outcome,
  runAttempt,
} from './attempt.ts';
import { batchHandlerOf, runBatch } from './batch.ts';
import type { Completions } from './completions.ts';
import { settleFailure } from './failure.ts';
import type { JobsInHand, Suspect } from './job-buffer.ts';
import { runsOf } from './plan.ts';
import { isShareable, mayJoin, mostEvents, runShared } from './shared-transaction.ts';

export interface AttemptsOptions {
  deps: AttemptDeps;
  hand: JobsInHand;
  completions: Pick<Completions, 'add' | 'settled'>;
  /** The list in force. */
  handlers: () => readonly Handler[];
  /** Slots. */
  concurrency: number;
  /** Aborted when what runs has to be interrupted. */
  signal: AbortSignal;
  /** Nothing new is begun. */
  isStopping: () => boolean;
  /** It stops because of an exception, and what has begun may be its cause. */
  isCrashing: () => boolean;
  /** Never rejects. */
  handBack: (waiting: readonly JobInHand[], reason: string) => Promise<void>;
  /** For those whose events' rows are held. Never rejects. */
  putOff: (waiting: readonly JobInHand[]) => Promise<void>;
  /** Tells the watchdog what runs. @returns to be called when it has ended */
  enter: (what: string, jobs: readonly ClaimedJob[]) => () => void;
  /** A slot is free. */
  onFree: () => void;
  /** A job went to the dead-letter queue. */
  onDead: () => void;
}

export interface Attempts {
  /** Begins what there are slots for. */
  pump(): void;
  /** Slots in use, and the events that run in them. */
  counts(): { slots: number; events: number };
  /** Of one event, lately. */
  averageMs(): number;
  /** Jobs had to wait so long. */
  noteWait(ms: number): void;
  /** One event runs and nothing may run beside it. */
  isAlone(): boolean;
  ended(): Promise<void>;
}

const maxBatch = 200;

export function runAttempts(options: AttemptsOptions): Attempts {
  const { deps, hand, completions, concurrency, signal, isStopping, handBack, putOff, enter } = options;
  const { pace, log } = deps;
  const lines = createUnredactedLogger(log);
  const running = new Set<Promise<void>>();
  // Of these: their handlers have returned, only COMMIT is under way.
  const ending = new Set<Assignment>();
  // Beside the first of each shared transaction.
  let joined = 0;
  const busyEntities = new Set<string>();
  let averageMs = 50;
  let isAlone = false;

  function pump(): void {
    if (isAlone) return;
    while (running.size - ending.size < concurrency && !isStopping()) {
      const assignment = hand.takeFirst((one) =>
        entitiesOf(one).every((entity) => !busyEntities.has(entity)),
      );
      if (!assignment) break;
      start(runNext(assignment));
    }
    if (hand.suspectCount() > 0 && running.size === 0 && !isStopping()) start(runAlone());
  }

  function start(work: Promise<void>): void {
    const task = work.finally(() => {
      running.delete(task);
      pump();
      options.onFree();
    });
    running.add(task);
  }

  function freeSlotOf(assignment: Assignment): void {
    ending.add(assignment);
    pump();
  }

  function runNext(assignment: Assignment): Promise<void> {
    const handler = batchHandlerOf(assignment);
    if (handler) {
      const others = hand.takeMany((one) => batchHandlerOf(one) === handler, maxBatch - 1);
      if (others.length > 0) return runMany(handler, [assignment, ...others]);
    }
    return isShareable(assignment, pace) ? runTogether(assignment) : runOne(assignment);
  }

  /** The oldest suspect, when everything else has ended; what else is in hand goes to other workers. */
  async function runAlone(): Promise<void> {
    isAlone = true;
    try {
      const suspect = hand.takeSuspect()!;
      await handBack(hand.takeSuspects(), 'it has to run alone');
      await completions.settled();
      if (isStopping()) await handBack([suspect], 'its worker stops');
      else await runSuspect(suspect);
    } finally {
      isAlone = false;
    }
  }

  async function runSuspect({ job, event, suspicion }: Suspect): Promise<void> {
    const leave = enter('running alone', [job]);
    try {
      await deps.database.transaction(async (tx) => {
        await lockRow(tx, event);
        await markLoneStart(tx, job);
      });
      await runOne(assign(job, event, options.handlers(), suspicion));
    } catch (error) {
      if (error instanceof RowHeldError) return await putOff([{ job, event, suspicion }]);
      hand.release([job]);
      log.error(
        { ...job.key, error: describeError(error).text },
        'a start could not be recorded; the job comes back',
      );
    } finally {
      leave();
    }
  }

  async function runMany(handler: Handler, batch: Assignment[]): Promise<void> {
    const startedAt = performance.now();
    const leave = enter(
      'running together',
      batch.map(({ job }) => job),
    );
    const { processed, alone, held } = await runBatch(handler, batch, deps, signal).finally(leave);
    const eachMs = (performance.now() - startedAt) / batch.length;
    for (const assignment of processed)
      finish(assignment, { kind: 'processed', isJobSettled: false }, eachMs);
    await putOff(held);
    await runEach(alone);
  }

  /** What was rolled back together, perhaps through another's fault. */
  async function runEach(assignments: readonly Assignment[]): Promise<void> {
    for (const [index, assignment] of assignments.entries()) {
      if (isStopping() && !options.isCrashing()) {
        return handBack(assignments.slice(index), 'its worker stops');
      }
      await runOne(assignment);
    }
  }

  async function runOne(assignment: Assignment): Promise<void> {
    const entities = entitiesOf(assignment);
    for (const entity of entities) busyEntities.add(entity);
    const leave = enter('running', [assignment.job]);
    await settle(assignment, () => runAttempt(assignment, deps, signal, () => freeSlotOf(assignment)));
    ending.delete(assignment);
    leave();
    for (const entity of entities) busyEntities.delete(entity);
  }

  /** While more waits than there are slots, a quick attempt is followed by others in its transaction. */
  async function runTogether(first: Assignment): Promise<void> {
    let leave = enter('running', [first.job]);
    const freeSlots = Math.max(1, concurrency - running.size + ending.size);
    const share = Math.min(mostEvents - 1, Math.floor(hand.readyCount() / freeSlots));
    const others = hand.takeRun((one) => isShareable(one, pace), share);
    joined += others.length;
    const mayFollow = (next: Assignment, ageMs: number, events: number) => {
      if (isStopping() || hand.suspectCount() > 0 || !mayJoin(ageMs, events)) return false;
      leave();
      leave = enter('running', [next.job]);
      return true;
    };
    const candidates = [first, ...others.map(({ assignment }) => assignment)];
    const onEnding = () => freeSlotOf(first);
    const outcome = await runShared(candidates, mayFollow, deps, signal, onEnding);
    const { processed, failed, alone, held, left } = outcome;
    ending.delete(first);
    leave();
    joined -= others.length;
    hand.putBack(others.filter(({ assignment }) => left.includes(assignment)));
    for (const { assignment, durationMs } of processed) {
      finish(assignment, { kind: 'processed', isJobSettled: false }, durationMs);
    }
    for (const { assignment, error, startedAt } of failed) {
      await settle(assignment, () => settleFailure(assignment, error, startedAt, deps));
    }
    await putOff(held);
    await runEach(alone);
  }

  async function settle(assignment: Assignment, attempt: () => Promise<Outcome>): Promise<void> {
    const startedAt = performance.now();
    try {
      finish(assignment, await attempt(), performance.now() - startedAt);
    } catch (error) {
      // The outcome could not be recorded: the job stays active, and its heartbeat's end brings it back.
      hand.release([assignment.job]);
      log.error(
        { ...assignment.job.key, error: describeError(error).text },
        'an attempt could not be recorded; the job comes back when its heartbeat has ended',
      );
    }
  }

  function finish(assignment: Assignment, outcome: Outcome, durationMs: number): void {
    averageMs = averageMs * 0.95 + durationMs * 0.05;
    const { source, eventId, topic } = assignment.event;
    const level = outcome.kind === 'failed' ? 'warn' : 'info';
    lines[level](
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
    // Before its job is completed: a replay that comes in between is another attempt, and need not wait for that.
    hand.release([assignment.job]);
    if (!outcome.isJobSettled) completions.add(assignment.job);
    if (outcome.isDead) options.onDead();
  }

  return {
    pump,
    counts: () => ({ slots: running.size, events: running.size + joined }),
    averageMs: () => averageMs,
    noteWait: (ms) => {
      averageMs = Math.max(averageMs, ms);
    },
    isAlone: () => isAlone,
    ended: async () => {
      await Promise.all([...running]);
    },
  };
}

function entitiesOf({ event, plan }: Assignment): string[] {
  return runsOf(plan).flatMap(({ entity }) => (entity === null ? [] : [`${event.source}/${entity}`]));
}
