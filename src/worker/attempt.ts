// One attempt in a transaction of its own: its handlers' writes and PROCESSED in one commit, or nothing.
import {
  type Database,
  statementError,
  type Transaction,
  type TransactionOptions,
} from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import { describeError, isPermanent, sqlState } from '../errors.ts';
import { advanceEntityClock, lockEntity, readPayloadText, type StoredEvent } from '../events/event.ts';
import { claimRows } from '../events/locks.ts';
import { markIgnored, markProcessed } from '../events/outcomes.ts';
import { failpoint } from '../failpoint.ts';
import type { HandlerContext } from '../handlers/handler.ts';
import type { Logger } from '../logger.ts';
import { inSpan, logFieldsOf } from '../tracing.ts';
import { EntityBusyError } from './attempt-errors.ts';
import { type AttemptResult, claimOf, type Entry } from './job.ts';
import type { WorkerObserver } from './observer.ts';
import { type Plan, type PlannedRun, runsOf } from './plan.ts';
import { beginAttempt } from './spans.ts';
import { withinTime } from './timeout.ts';
import type { Timings } from './timings.ts';
import { type GuardedTransaction, guardTransaction } from './transaction-guard/guarded-transaction.ts';

export interface AttemptDeps {
  database: Database;
  log: Logger;
  /** As HANDLER_TIMEOUT_SECONDS, in ms. */
  timeoutMs: number;
  /** The part of `timeoutMs` that an asynchronous schema has used. Default: 0. */
  spentMs?: number;
  timings: Timings;
  observer?: WorkerObserver | undefined;
  /** Aborted when no further handler may start. */
  stopping: AbortSignal;
  /** Aborted when handlers that run are interrupted. */
  signal: AbortSignal;
}

const entityLockTimeout = '5s';

/**
 * Session settings of a worker's pool.
 * @param hasPooler the pool's connections outlive a crash of Postgres; default false
 */
export function workerSessionSettings(handlerTimeoutMs: number, hasPooler = false): Record<string, string> {
  return {
    // Effects, status and the job's completion are lost together or not at all (see `Completions`): after a crash of
    // Postgres the attempt simply runs again. What must not be lost (claims, failures, released events) says so itself.
    // Behind a pooler nobody would notice the crash before the job is completed.
    synchronous_commit: hasPooler ? 'local' : 'off',
    statement_timeout: `${handlerTimeoutMs + 5_000}`,
    // Postgres plans our prepared statements each time. A kept plan from the time when the table was small would read the
    // whole table once it is large.
    plan_cache_mode: 'force_custom_plan',
    // A frozen worker must not hold its locks for ever.
    idle_in_transaction_session_timeout: `${handlerTimeoutMs + 5_000}`,
  };
}

/** The client's limit of a handler's statement is 5 s behind the server's, so that callers get the server's clearer error. */
const statementTimeoutMs = (handlerTimeoutMs: number) => handlerTimeoutMs + 10_000;

/** Of the transaction of an attempt, or of several. */
export function transactionOptions({ timeoutMs }: Pick<AttemptDeps, 'timeoutMs'>): TransactionOptions {
  return {
    timeoutMs: statementTimeoutMs(timeoutMs),
    mayBeIdle: true,
    beforeCommitSite: 'worker.marked',
    commitSite: 'worker.commit-sent',
  };
}

/** Never throws for what a handler does. */
export async function runAttempt(entry: Entry, deps: AttemptDeps): Promise<AttemptResult> {
  const startedAt = new Date();
  try {
    if (entry.plan.kind === 'reject') {
      beginAttempt(entry);
      throw entry.plan.error;
    }
    await failpoint('worker.fetched');
    // A transaction of its own: the lock must not last as long as the handler.
    if ((await claimRows(deps.database, [claimOf(entry)])).length === 0) return { kind: 'unclaimed' };
    beginAttempt(entry);
    const beganAtMs = performance.now();
    const runs = await validatedRuns(entry.plan, deps);
    const spentMs = performance.now() - beganAtMs;
    const result = await runInTransaction(entry, runs, { ...deps, spentMs });
    await failpoint('worker.after-commit');
    return result;
  } catch (error) {
    return { kind: 'threw', error, startedAt };
  }
}

/** Awaits asynchronous schemas while no transaction is open, so that a slow one holds neither connection nor locks. */
export async function validatedRuns(plan: Plan, deps: AttemptDeps): Promise<readonly PlannedRun[]> {
  if (plan.kind !== 'unvalidated') return runsOf(plan);
  const noTransaction = { begun: Promise.resolve(), abandon: () => {} };
  return withinTime(noTransaction, deps, deps.signal, plan.validate, "the handler's schema");
}

async function runInTransaction(
  entry: Entry,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
): Promise<AttemptResult> {
  const { event } = entry;
  let guarded: GuardedTransaction | undefined;
  try {
    return await deps.database.transaction(async (tx): Promise<AttemptResult> => {
      await failpoint('worker.after-begin');
      const due = await takeEntities(tx, event, runs);
      const entity = runs.find((run) => run.entity !== null)?.entity ?? null;
      if (due.length === 0) {
        const ignored = await markIgnored(tx, [{ ...claimOf(entry), reason: 'stale', entity }]);
        return ignored.length > 0 ? { kind: 'ignored', reason: 'stale' } : { kind: 'unclaimed' };
      }
      guarded = guardTransaction(tx, deps.log);
      await runHandlers(tx, guarded, entry, due, deps);
      await failpoint('worker.after-handler');
      for (const run of due) {
        if (run.entity !== null && event.occurredAt)
          advanceEntityClock(tx, event, run.entity, event.occurredAt);
      }
      markProcessed(tx, event, entry.job.id, entity);
      return { kind: 'processed' };
    }, transactionOptions(deps));
  } catch (error) {
    throw causeOf(error, guarded);
  }
}

/** An aborted transaction refuses every statement (25P02): the error that aborted it is the one to report. */
export function causeOf(error: unknown, guarded: GuardedTransaction | undefined): unknown {
  return (sqlState(statementError(error)) === '25P02' && guarded?.firstError()) || error;
}

/** Serialises the entities and leaves out the runs that are older than the last event applied to theirs. */
export async function takeEntities(
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
    if (sqlState(error) === '55P03')
      throw new EntityBusyError('another event of its entity is still running');
    throw error;
  }
}

/**
 * Runs the handlers of one event in order, inside the span of its attempt.
 * @returns how long they took, in ms
 * @throws the handlers' errors, and those that they swallowed and that must not be committed
 */
export async function runHandlers(
  transaction: Transaction,
  guarded: GuardedTransaction,
  entry: Entry,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
): Promise<number> {
  const startedAt = performance.now();
  let endedAt = startedAt;
  /** Of each handler that was started. */
  const starts: number[] = [];
  try {
    await withinTime(transaction, deps, deps.signal, (signal) =>
      callHandlers(transaction, guarded, entry, runs, deps, signal, starts),
    );
  } finally {
    endedAt = performance.now();
    for (const [index, start] of starts.entries()) {
      const { handler } = runs[index]!;
      const ms = (starts[index + 1] ?? endedAt) - start;
      deps.timings.recordHandler(handler, ms);
      deps.observer?.handlerRan(handler, entry.event.source, ms);
    }
  }
  const swallowed = guarded.firstError();
  if (swallowed) await throwIfAborted(transaction, swallowed);
  return endedAt - startedAt;
}

async function callHandlers(
  transaction: Transaction,
  guarded: GuardedTransaction,
  { event, span }: Entry,
  runs: readonly PlannedRun[],
  deps: AttemptDeps,
  signal: AbortSignal,
  starts: number[],
): Promise<void> {
  const { topic } = event;
  try {
    for (const { handler, payload, handlerEvent } of runs) {
      starts.push(performance.now());
      const context: HandlerContext<unknown> = {
        event: handlerEvent,
        payload,
        readBody: async () => event.rawBody ?? Buffer.from(await readPayloadText(transaction, event)),
        tx: guarded.tx,
        log: deps.log.child({ topic, attempt: handlerEvent.attempt, ...(span && logFieldsOf(span)) }),
        signal,
      };
      await (span ? inSpan(span, () => handler.handle(context)) : handler.handle(context));
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
