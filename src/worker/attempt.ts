// One attempt: claim the event, run its handlers, mark it, all in one commit; or record why not.
import {
  type Database,
  statementError,
  type Transaction,
  type TransactionOptions,
} from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import { describeError, isPermanent, sqlState } from '../errors.ts';
import { clearLoneStarts, clearLoneStartsAtCommit } from '../events/crashes.ts';
import { advanceEntityClock, lockEntity, type StoredEvent } from '../events/event.ts';
import { lockFreeRows, RowHeldError } from '../events/locks.ts';
import { markIgnored, markManyProcessed, markProcessed } from '../events/outcomes.ts';
import { failpoint } from '../failpoint.ts';
import type { HandlerContext } from '../handlers/handler.ts';
import type { Logger } from '../logger.ts';
import type { ClaimedJob, Queue, Suspicion } from '../queue/queue.ts';
import { BusyError, settleFailure } from './failure.ts';
import { type GuardedTransaction, guardTransaction } from './guarded-transaction.ts';
import { type Plan, type PlannedRun, planEvent } from './plan.ts';
import { withinTime } from './timeout.ts';
import type { HandlerPace } from './timings.ts';

export interface AttemptDeps {
  database: Database;
  queue: Queue;
  log: Logger;
  /** As HANDLER_TIMEOUT_SECONDS. */
  timeoutMs: number;
  /** As MAX_DEFERRALS. */
  maxDeferrals: number;
  /** Is told of each handler's run. */
  pace: HandlerPace;
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

const entityLockTimeout = '5s';

/** Session settings of a worker's pool. */
export function workerSessionSettings(handlerTimeoutMs: number): Record<string, string> {
  return {
    // Effects, status and (flushed later) the job's completion are lost together or not at all: after a crash of
    // Postgres the attempt simply runs again. What must not be lost (claims, failures, jobs given back) says so itself.
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

/** A job with its event, whether it is planned or not, has begun or not. */
export type JobInHand = Pick<Assignment, 'job' | 'event' | 'suspicion'>;

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
  const { event, plan } = assignment;
  const startedAt = new Date();
  if (!isDue(assignment)) {
    return { kind: 'settled', isJobSettled: false, reason: `the event is ${event.status}` };
  }
  try {
    if (plan.kind === 'ignore') {
      // In a transaction, which tells a lost connection from a failure of the event.
      return await deps.database.transaction((tx) => ignore(tx, assignment, plan.reason));
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

async function ignore(
  tx: Transaction,
  { job, event, suspicion }: Assignment,
  reason: string,
  entity: string | null = null,
): Promise<Outcome> {
  if (!(await markIgnored(tx, event, job.id, reason, entity))) throw new RowHeldError();
  if (suspicion) await clearLoneStarts(tx, event);
  return { kind: 'ignored', isJobSettled: false, reason };
}

async function runInTransaction(
  assignment: Assignment,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
  onEnding: () => void,
): Promise<Outcome> {
  const { job, event, suspicion } = assignment;
  let guarded: GuardedTransaction | undefined;
  try {
    return await deps.database.transaction(
      async (tx) => {
        await failpoint('worker.after-begin');
        const due = await takeEntities(tx, event, runs);
        const entity = runs.find((run) => run.entity !== null)?.entity ?? null;
        if (due.length === 0) return ignore(tx, assignment, 'stale', entity);
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
      transactionOptions(deps, onEnding),
    );
  } catch (error) {
    throw causeOf(error, guarded);
  }
}

/**
 * For a transaction of several, before its first handler: only what is locked here may run in it, so that nobody else's
 * lock can roll back what ran beside. `held`: locked by somebody else, settled, or moved to another job.
 */
export async function lockAssignments(
  tx: Transaction,
  assignments: readonly Assignment[],
): Promise<{ free: Assignment[]; held: Assignment[] }> {
  const locked = await lockFreeRows(
    tx,
    assignments.map(({ job }) => job),
  );
  const isFree = ({ job }: Assignment) => locked.has(job.id);
  return { free: assignments.filter(isFree), held: assignments.filter((one) => !isFree(one)) };
}

/** With COMMIT: all of them PROCESSED, or the transaction fails. */
export function markAssignmentsProcessed(tx: Transaction, assignments: readonly Assignment[]): void {
  markManyProcessed(
    tx,
    assignments.map(({ job, event: { source, eventId } }) => ({ source, eventId, jobId: job.id })),
  );
}

/** Of the transaction of an attempt, or of several. */
export function transactionOptions({ timeoutMs }: AttemptDeps, onEnding: () => void): TransactionOptions {
  return {
    timeoutMs: statementTimeoutMs(timeoutMs),
    beforeCommitSite: 'worker.marked',
    commitSite: 'worker.commit-sent',
    onEnding,
  };
}

/** An aborted transaction refuses every statement (25P02): what aborted it is the error to be told. */
export function causeOf(error: unknown, guarded: GuardedTransaction | undefined): unknown {
  return (sqlState(statementError(error)) === '25P02' && guarded?.firstError()) || error;
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

/**
 * Runs the handlers of one event in order.
 * @returns how long they took, in ms
 * @throws what they throw, or what they swallowed and must not be committed
 */
export async function runHandlers(
  transaction: Transaction,
  guarded: GuardedTransaction,
  event: StoredEvent,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<number> {
  const startedAt = performance.now();
  let durationMs = 0;
  try {
    await withinTime(transaction, deps, signal, (handlerSignal) =>
      callHandlers(guarded, event, runs, deps, handlerSignal),
    );
  } finally {
    // Also of what failed: one that times out would hold up whoever shares its transaction.
    durationMs = performance.now() - startedAt;
    for (const { handler } of runs) deps.pace.record(handler, durationMs, guarded.isPlain());
  }
  const swallowed = guarded.firstError();
  if (swallowed) await throwIfAborted(transaction, swallowed);
  return durationMs;
}

async function callHandlers(
  guarded: GuardedTransaction,
  event: StoredEvent,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (const { handler, payload, handlerEvent } of runs) {
      const context: HandlerContext<unknown> = {
        event: handlerEvent,
        payload,
        tx: guarded.tx,
        log: deps.log.child({ topic: event.topic, attempt: handlerEvent.attempt }),
        signal,
      };
      await handler.handle(context);
    }
  } finally {
    await guarded.close();
  }
}

/** A handler that caught its own SQL error may have used a savepoint; if not, nothing of it can be committed. */
async function throwIfAborted(transaction: Transaction, swallowed: Error): Promise<void> {
  if (isPermanent(swallowed)) throw swallowed;
  try {
    await transaction.query('SELECT 1');
  } catch {
    throw new Error(`a statement failed and the handler went on: ${describeError(swallowed).text}`);
  }
}
