// One attempt: claim the event, run its handlers, mark it, all in one commit; or record why not.
import { setTimeout as delay } from 'node:timers/promises';
import {
  AtCommitError,
  allOrFirstError,
  ConnectionLostError,
  type Database,
  type Transaction,
} from './database.ts';
import { describeError, Later, PermanentError, sqlState } from './errors.ts';
import {
  advanceEntityClock,
  isClaimLost,
  lockEntity,
  markIgnored,
  markProcessed,
  moveToJob,
  recordFailure,
  type StoredEvent,
} from './events.ts';
import { failpoint } from './failpoint.ts';
import { type GuardedTransaction, guardTransaction } from './guarded-transaction.ts';
import type { HandlerContext, HandlerEvent } from './handlers.ts';
import type { Logger } from './logger.ts';
import { type Plan, type PlannedRun, planEvent } from './plan.ts';
import { type ClaimedJob, newJobId, type Queue, type Suspicion } from './queue.ts';
import { clearLoneStarts, clearLoneStartsAtCommit, endLoneStart, givenBack } from './suspects.ts';

export interface AttemptDeps {
  database: Database;
  queue: Queue;
  log: Logger;
  /** As HANDLER_TIMEOUT_SECONDS. */
  timeoutMs: number;
  /** As MAX_DEFERRALS. */
  maxDeferrals: number;
}

/**
 * What became of an attempt. `isJobSettled`: the job was completed, failed or replaced in the same transaction;
 * otherwise the worker still has to complete it.
 */
export interface Outcome {
  kind: 'processed' | 'ignored' | 'failed' | 'deferred' | 'settled' | 'interrupted';
  isJobSettled: boolean;
  /** The job went to the dead-letter queue. */
  isDead?: boolean;
  reason?: string;
}

/** A job with its event and what is to be done with it. */
export interface Assignment {
  job: ClaimedJob;
  event: StoredEvent;
  plan: Plan;
  /** An earlier attempt was lost with its process: this one runs alone, its start is on record. */
  suspicion?: Suspicion | undefined;
}

/** Another event of its entity is still inside its transaction. */
class BusyError extends Error {}
class HandlerTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`the handler ran longer than ${timeoutMs / 1_000} s (HANDLER_TIMEOUT_SECONDS)`);
    this.name = 'HandlerTimeoutError';
  }
}
/** The worker stops, or lost its claim: the attempt is not the handler's failure. */
export class InterruptedError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'InterruptedError';
  }
}

/**
 * The process ends because of an exception that nobody caught, most likely a handler's. Whose, is only known of an
 * attempt that ran alone; the others are left to be found as lost.
 */
export class CrashError extends Error {
  constructor(cause: unknown) {
    super('an exception was not caught and ended the process', { cause });
    this.name = 'CrashError';
  }
}

const busyRetrySeconds = 2;
const connectionRetrySeconds = 2;
const settleRetryMs = [250, 500, 1_000, 2_000, 4_000];
const ownRowChanged =
  "the handler changed its event's own row in webhook_events, which Postbell settles: return, or throw PermanentError or Later";
const entityLockTimeout = '5s';
/** How long a handler may take to react to its signal before its connection is ended under it. */
const abortGraceMs = 500;

/** Session settings of a worker's pool. */
export function workerSessionSettings(handlerTimeoutMs: number): Record<string, string> {
  return {
    // Effects, status and (flushed later) the job's completion are lost together or not at all: after a crash of
    // Postgres the attempt simply runs again. Only the receiver has promised anything to anybody.
    synchronous_commit: 'off',
    statement_timeout: `${handlerTimeoutMs + 5_000}`,
    // A frozen worker must not hold its locks for ever.
    idle_in_transaction_session_timeout: `${handlerTimeoutMs + 5_000}`,
  };
}

/** The client's bound of a handler's statement: behind the server's own, so that the server's error is the one seen. */
export const statementTimeoutMs = (handlerTimeoutMs: number) => handlerTimeoutMs + 10_000;

export function assign(
  job: ClaimedJob,
  event: StoredEvent,
  handlers: Parameters<typeof planEvent>[0],
  suspicion?: Suspicion,
): Assignment {
  return { job, event, plan: planEvent(handlers, event, job.retryCount + 1), suspicion };
}

/** Whether the event still waits for this job; if not, it was settled or moved to another one. */
export function isDue({ job, event }: Pick<Assignment, 'job' | 'event'>): boolean {
  return event.status === 'PENDING' && event.jobId === job.id;
}

/**
 * Runs one attempt to its end. Never throws for what the handler does; throws when the database cannot record
 * the outcome (then the heartbeat's end gives the job to another worker).
 * @param signal aborted when the worker has to stop
 * @param onEnding called when the handlers have returned and COMMIT is under way: see TransactionOptions
 */
export async function runAttempt(
  assignment: Assignment,
  deps: AttemptDeps,
  signal: AbortSignal,
  onEnding: () => void = () => {},
): Promise<Outcome> {
  const { job, event, plan } = assignment;
  const startedAt = new Date();
  if (!isDue(assignment)) {
    return { kind: 'settled', isJobSettled: false, reason: `the event is ${event.status}` };
  }
  try {
    if (plan.kind === 'ignore') {
      // In a transaction, which tells a lost connection from a failure of the event.
      await deps.database.transaction((tx) => markIgnored(tx, event, job.id, plan.reason));
      return { kind: 'ignored', isJobSettled: false, reason: plan.reason };
    }
    if (plan.kind === 'reject') throw plan.error;
    await failpoint('worker.fetched');
    const outcome = await runInTransaction(assignment, plan.runs, deps, signal, onEnding);
    await failpoint('worker.after-commit');
    return outcome;
  } catch (error) {
    return settleFailure(assignment, error, startedAt, deps);
  }
}

async function runInTransaction(
  { job, event, suspicion }: Assignment,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
  onEnding: () => void,
): Promise<Outcome> {
  let guarded: GuardedTransaction | undefined;
  try {
    return await deps.database.transaction(
      async (tx) => {
        await failpoint('worker.after-begin');
        const due = await takeEntities(tx, event, runs);
        const entity = runs.find((run) => run.entity !== null)?.entity ?? null;
        if (due.length === 0) {
          await markIgnored(tx, event, job.id, 'stale', entity);
          return { kind: 'ignored', isJobSettled: false, reason: 'stale' };
        }
        guarded = guardTransaction(tx, deps.log);
        await runHandlers(tx, guarded, event, due, deps, signal);
        await failpoint('worker.after-handler');
        for (const { entity } of due) {
          if (entity !== null && event.occurredAt) advanceEntityClock(tx, event, entity, event.occurredAt);
        }
        markProcessed(tx, event, job.id, entity);
        if (suspicion) clearLoneStartsAtCommit(tx, event);
        return { kind: 'processed', isJobSettled: false };
      },
      {
        timeoutMs: statementTimeoutMs(deps.timeoutMs),
        beforeCommitSite: 'worker.marked',
        commitSite: 'worker.commit-sent',
        onEnding,
      },
    );
  } catch (error) {
    // An aborted transaction refuses every statement (25P02): what aborted it is the error to be told.
    const last = error instanceof AtCommitError ? error.cause : error;
    throw (sqlState(last) === '25P02' && guarded?.firstError()) || error;
  }
}

/** Serialises the entities and leaves out the runs that are older than what was applied to theirs. */
async function takeEntities(
  tx: Transaction,
  event: StoredEvent,
  runs: readonly PlannedRun[],
): Promise<readonly PlannedRun[]> {
  // In one order everywhere: two events that share two entities would deadlock.
  const entities = [...new Set(runs.flatMap((run) => run.entity ?? []))].sort();
  if (entities.length === 0) return runs;
  try {
    const isLimited = tx.query(`SET LOCAL lock_timeout = '${entityLockTimeout}'`);
    const locked = Promise.all(entities.map((entity) => lockEntity(tx, event.source, entity)));
    // From here on, locks are the handler's own business.
    const isUnlimited = tx.query('SET LOCAL lock_timeout TO DEFAULT');
    await allOrFirstError<unknown>([isLimited, locked, isUnlimited]);
    const clocks = await locked;
    const applied = new Map(entities.map((entity, index) => [entity, clocks[index]]));
    return runs.filter(({ entity, handler }) => {
      if (entity === null || handler.whenStale === 'handle' || !event.occurredAt) return true;
      const newest = applied.get(entity);
      return !newest || event.occurredAt >= newest;
    });
  } catch (error) {
    if (sqlState(error) === '55P03') throw new BusyError('another event of its entity is still running');
    throw error;
  }
}

async function runHandlers(
  transaction: Transaction,
  guarded: GuardedTransaction,
  event: StoredEvent,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<void> {
  await withinTime(transaction, deps, signal, async (handlerSignal) => {
    try {
      for (const { handler, payload, handlerEvent } of runs) {
        const log = deps.log.child({ topic: event.topic, attempt: handlerEvent.attempt });
        const context: HandlerContext<unknown> = {
          event: handlerEvent,
          payload,
          tx: guarded.tx,
          log,
          signal: handlerSignal,
        };
        await handler.handle(context);
      }
    } finally {
      guarded.close();
    }
  });
  const swallowed = guarded.firstError();
  if (swallowed) await throwIfAborted(transaction, swallowed);
}

/** A handler that caught its own SQL error may have used a savepoint; if not, nothing of it can be committed. */
async function throwIfAborted(transaction: Transaction, swallowed: Error): Promise<void> {
  if (swallowed instanceof PermanentError) throw swallowed;
  try {
    await transaction.query('SELECT 1');
  } catch {
    throw new Error(`a statement failed and the handler went on: ${describeError(swallowed).text}`);
  }
}

/**
 * Runs `work` until the time-out, or until the worker has to stop. JavaScript cannot be interrupted: a handler that
 * ignores its signal loses its connection, so that nothing it does afterwards can be committed.
 */
export async function withinTime(
  transaction: Transaction,
  { timeoutMs, log }: Pick<AttemptDeps, 'timeoutMs' | 'log'>,
  stop: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (stop.aborted) throw stop.reason;
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  // From BEGIN on: a connection may still be at the COMMIT of the attempt before, and that may wait for a row's lock.
  void transaction.begun.then(() => {
    if (isOver) return;
    timer = setTimeout(() => controller.abort(new HandlerTimeoutError(timeoutMs)), timeoutMs);
  });
  const onStop = () => controller.abort(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  let grace: NodeJS.Timeout | undefined;
  const running = work(controller.signal);
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener(
      'abort',
      () => {
        grace = setTimeout(() => {
          transaction.abandon(controller.signal.reason);
          running.then(
            () => log.error('a handler returned after its time was up; nothing of it was committed'),
            (error) =>
              log.debug({ error: describeError(error).text }, 'a handler ended after its time was up'),
          );
          reject(controller.signal.reason);
        }, abortGraceMs);
      },
      { once: true },
    );
  });
  try {
    await Promise.race([running, aborted]);
    // It returned although its time was up: what it left half-done because of the signal must not be committed.
    if (controller.signal.aborted) throw controller.signal.reason;
  } catch (error) {
    // Whatever it threw because of the signal, the signal is the cause.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    isOver = true;
    clearTimeout(timer);
    clearTimeout(grace);
    stop.removeEventListener('abort', onStop);
  }
}

/**
 * Settles an attempt that did not commit; the effects are rolled back by now. While the database is away it tries
 * again: the job stays ours by its heartbeat, and a restart of Postgres need not wait for the heartbeat's end.
 * @throws ConnectionLostError when the database stays away
 */
async function settleFailure(
  assignment: Assignment,
  error: unknown,
  startedAt: Date,
  deps: AttemptDeps,
): Promise<Outcome> {
  for (const waitMs of settleRetryMs) {
    try {
      return await settleOnce(assignment, error, startedAt, deps);
    } catch (settleError) {
      if (!(settleError instanceof ConnectionLostError)) throw settleError;
      await delay(waitMs);
    }
  }
  return settleOnce(assignment, error, startedAt, deps);
}

async function settleOnce(
  assignment: Assignment,
  thrown: unknown,
  startedAt: Date,
  deps: AttemptDeps,
): Promise<Outcome> {
  const { job, event, suspicion } = assignment;
  // If somebody else took the event, no failure will be recorded below. If it still is this job's, the transaction that
  // was rolled back took it itself: it would do so each time.
  const error = isClaimLost(thrown) ? new PermanentError(ownRowChanged) : thrown;
  if (error instanceof BusyError) return handBack(assignment, deps, busyRetrySeconds, error.message);
  if (error instanceof InterruptedError) return handBack(assignment, deps, 0, error.message);
  if (error instanceof CrashError && !suspicion) {
    // Its heartbeat ends with the process.
    return { kind: 'interrupted', isJobSettled: true, reason: error.message };
  }
  // Not the handler's fault, unless it is its statements that end the session: so it counts as put off.
  if (error instanceof ConnectionLostError && event.deferrals < deps.maxDeferrals) {
    return defer(assignment, deps, connectionRetrySeconds, describeError(error.cause).text);
  }
  if (error instanceof Later && event.deferrals < deps.maxDeferrals) {
    // Its process has outlived it.
    return defer(exonerated(assignment), deps, error.afterSeconds, describeError(error).text);
  }
  const { text, stack } = describeError(reasonOf(error, event));
  const isPermanent = error instanceof PermanentError;
  const hasEnded = !(error instanceof CrashError);
  const lostInCompany = suspicion && hasEnded ? givenBack(suspicion) : 0;
  const isDead = !isPermanent && lostInCompany === 0 && job.retryCount >= job.retryLimit;
  const isRecorded = await deps.database.transaction(async (tx) => {
    await failpoint('worker.before-fail');
    const failure = { ...event, jobId: job.id, error: text, stack, startedAt };
    // False: the event was settled by somebody else, perhaps by a COMMIT of ours whose answer was lost.
    if (!(await recordFailure(tx, failure, isPermanent))) return false;
    if (suspicion && hasEnded) await endLoneStart(tx, job);
    if (isPermanent) await deps.queue.completeIn(tx, job);
    else if (lostInCompany === 0) await deps.queue.fail(tx, job, text.slice(0, 500));
    else await retryWithAttemptsGivenBack(tx, assignment, lostInCompany, deps.queue);
    await failpoint('worker.after-fail');
    return true;
  });
  if (!isRecorded) return { kind: 'settled', isJobSettled: false, reason: 'settled meanwhile' };
  return { kind: 'failed', isJobSettled: true, isDead, reason: text };
}

/** It failed like any other, so it is not what ended its process before: a job without those losses takes its place. */
async function retryWithAttemptsGivenBack(
  tx: Transaction,
  { job, event }: Assignment,
  lostInCompany: number,
  queue: Queue,
): Promise<void> {
  const jobId = newJobId();
  if (!(await queue.completeIn(tx, job))) return;
  await moveToJob(tx, event, job.id, jobId, false);
  await clearLoneStarts(tx, event);
  const { source, eventId } = event;
  const failuresLeft = job.retryLimit - job.retryCount + lostInCompany;
  await queue.enqueue(tx, [{ source, eventId, jobId, failuresLeft, afterSeconds: job.retryDelaySeconds }]);
}

/** What the operator is told. */
function reasonOf(error: unknown, event: StoredEvent): unknown {
  if (error instanceof AtCommitError || error instanceof CrashError) return error.cause;
  if (!(error instanceof Later)) return error;
  return new Error(`put off ${event.deferrals} times (MAX_DEFERRALS): ${error.message}`);
}

/** `Later`: a new job at the given time, with as many failures left as the old one had. */
function defer(assignment: Replaced, deps: AttemptDeps, afterSeconds: number, reason: string) {
  return replaceJob(assignment, deps, { afterSeconds, isDeferral: true }, { kind: 'deferred', reason });
}

/** The attempt was not the handler's fault: the event goes back to the queue and nothing is charged. */
export function handBack(
  assignment: Replaced,
  deps: Pick<AttemptDeps, 'database' | 'queue'>,
  afterSeconds: number,
  reason: string,
): Promise<Outcome> {
  return replaceJob(assignment, deps, { afterSeconds, isDeferral: false }, { kind: 'interrupted', reason });
}

type Replaced = Pick<Assignment, 'job' | 'event' | 'suspicion'>;

/** Nothing is held against it any more, and what it had lost beside others comes back. */
function exonerated({ job, event, suspicion }: Replaced): Replaced {
  if (!suspicion || suspicion.alone > 0) return { job, event, suspicion };
  return { job: { ...job, retryLimit: job.retryLimit + suspicion.inCompany }, event, suspicion: undefined };
}

async function replaceJob(
  { job, event, suspicion }: Replaced,
  { database, queue }: Pick<AttemptDeps, 'database' | 'queue'>,
  { afterSeconds, isDeferral }: { afterSeconds: number; isDeferral: boolean },
  outcome: { kind: Outcome['kind']; reason: string },
): Promise<Outcome> {
  const jobId = newJobId();
  await database.transaction(async (tx) => {
    // The attempt is fenced: if pg-boss gave the job to another worker, it is no longer ours to replace.
    if (!(await queue.completeIn(tx, job))) return;
    if (!(await moveToJob(tx, event, job.id, jobId, isDeferral))) return;
    await failpoint('worker.moved');
    const failuresLeft = job.retryLimit - job.retryCount + 1;
    const { source, eventId } = event;
    await queue.enqueue(tx, [{ source, eventId, jobId, afterSeconds, failuresLeft, suspicion }]);
  });
  return { ...outcome, isJobSettled: true };
}

export type { HandlerEvent };
