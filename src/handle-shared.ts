// Quick attempts in a row share a transaction, each behind its own savepoint: one BEGIN, marking and COMMIT for many.
import { ConnectionLostError, statementError, type Transaction } from './database/database.ts';
import { describeError, sqlState } from './errors.ts';
import { markProcessed } from './event-outcomes.ts';
import { failpoint } from './failpoint.ts';
import { type GuardedTransaction, guardTransaction } from './guarded-transaction.ts';
import {
  type Assignment,
  type AttemptDeps,
  causeOf,
  isDue,
  markAssignmentsProcessed,
  runHandlers,
  transactionOptions,
} from './handle.ts';
import type { HandlerPace } from './handler-pace.ts';
import { runsOf } from './plan.ts';

/** The first event's effects wait for their COMMIT, and its locks are held, for so long and one handler more. */
const mostMs = 20;
/** Postgres keeps 64 subtransactions of a transaction at hand; beyond that every snapshot pays. */
const mostEvents = 32;
/** Somebody has an event's row locked: the others are not to wait for it. */
const markLockTimeout = '1s';

/** An attempt that was rolled back, alone, out of the transaction that it shared. */
export interface FailedAttempt {
  assignment: Assignment;
  error: unknown;
  startedAt: Date;
}

export interface SharedOutcome {
  /** Committed, with their effects. */
  processed: { assignment: Assignment; durationMs: number }[];
  /** Not committed, by a fault of their own. */
  failed: FailedAttempt[];
  /** Not committed, for a reason that may have been another's or the sharing's: to be run alone, at once. */
  alone: Assignment[];
}

/**
 * Whether it may share: a first attempt, without an entity (its lock would be held longer and could deadlock), of
 * handlers that were quick lately. What had failed, was put off or lost its process before fails on its own.
 */
export function isShareable({ job, event, plan, suspicion }: Assignment, pace: HandlerPace): boolean {
  if (plan.kind !== 'run' || suspicion || job.retryCount > 0 || event.attempts > 0 || event.deferrals > 0) {
    return false;
  }
  if (!isDue({ job, event })) return false;
  return plan.runs.every(({ handler, entity }) => entity === null && !handler.batch && pace.isQuick(handler));
}

/** Whether another event may join a transaction that is so old and has so many. */
export function mayJoin(ageMs: number, events: number): boolean {
  return ageMs < mostMs && events < mostEvents;
}

interface Member {
  assignment: Assignment;
  startedAt: Date;
  /** Without the COMMIT. */
  durationMs: number;
  guarded: GuardedTransaction;
}

/**
 * Runs `first`, and then what `takeNext` gives, in one transaction. Never throws for what a handler does.
 * @param takeNext asked when another could join a transaction of this age with so many events; undefined: none does
 * @param onEnding see TransactionOptions
 */
export async function runShared(
  first: Assignment,
  takeNext: (ageMs: number, events: number) => Assignment | undefined,
  deps: AttemptDeps,
  signal: AbortSignal,
  onEnding: () => void,
): Promise<SharedOutcome> {
  const members: Member[] = [];
  let failed: FailedAttempt | undefined;
  try {
    await failpoint('worker.fetched');
    await deps.database.transaction(
      async (tx) => {
        await failpoint('worker.after-begin');
        const beganAt = performance.now();
        for (let next: Assignment | undefined = first; next; ) {
          const guarded = guardTransaction(tx, deps.log);
          const member: Member = { assignment: next, startedAt: new Date(), durationMs: 0, guarded };
          const savepoint = members.length > 0 ? `postbell_event_${members.length}` : undefined;
          members.push(member);
          failed = await runMember(tx, member, savepoint, deps, signal);
          if (failed) {
            members.pop();
            if (!savepoint) throw failed.error; // nothing else is in the transaction
            await tx.rollBackTo(savepoint);
            break;
          }
          // What the handler left in the transaction besides rows is not for others.
          next = guarded.isPlain() ? takeNext(performance.now() - beganAt, members.length) : undefined;
        }
        await failpoint('worker.after-handler');
        mark(tx, members);
      },
      transactionOptions(deps, onEnding),
    );
    await failpoint('worker.after-commit');
    const processed = members.map(({ assignment, durationMs }) => ({ assignment, durationMs }));
    return { processed, failed: [], alone: [], ...(failed ? blame(failed, deps.pace) : {}) };
  } catch (error) {
    return afterRollback(first, members, failed, error, deps);
  }
}

/** @throws when the transaction is lost for all; what is the member's own fault is returned */
async function runMember(
  tx: Transaction,
  member: Member,
  savepoint: string | undefined,
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<FailedAttempt | undefined> {
  const { assignment, startedAt, guarded } = member;
  const { event, plan } = assignment;
  if (savepoint) tx.savepoint(savepoint).catch(() => {}); // what comes behind it fails, too
  try {
    member.durationMs = await runHandlers(tx, guarded, event, runsOf(plan), deps, signal);
  } catch (error) {
    return { assignment, startedAt, error: causeOf(error, guarded) };
  }
  return undefined;
}

function mark(tx: Transaction, members: readonly Member[]): void {
  const [only, another] = members;
  if (only && !another) {
    const { event, job } = only.assignment;
    markProcessed(tx, event, job.id, null);
    return;
  }
  tx.atCommit({ text: `SET LOCAL lock_timeout = '${markLockTimeout}'` });
  markAssignmentsProcessed(
    tx,
    members.map(({ assignment }) => assignment),
  );
}

/** Where two that wait for each other's rows meet, the sharing may be the reason. */
const lockConflicts = new Set(['40001', '40P01', '55P03']);

function blame(failed: FailedAttempt, pace: HandlerPace): Pick<SharedOutcome, 'failed' | 'alone'> {
  if (!lockConflicts.has(sqlState(failed.error) ?? '')) return { failed: [failed], alone: [] };
  for (const { handler } of runsOf(failed.assignment.plan)) pace.recordConflict(handler);
  return { failed: [], alone: [failed.assignment] };
}

function afterRollback(
  first: Assignment,
  members: readonly Member[],
  failed: FailedAttempt | undefined,
  error: unknown,
  { pace, log }: AttemptDeps,
): SharedOutcome {
  const settled: SharedOutcome = { processed: [], failed: [], alone: [] };
  if (members.length === 0 || error instanceof ConnectionLostError) {
    // Of a lost connection nobody is at fault, and the COMMIT may have succeeded: each is looked at anew, later.
    const attempts = members.map(({ assignment, startedAt }) => ({ assignment, startedAt, error }));
    if (failed) attempts.push(error instanceof ConnectionLostError ? { ...failed, error } : failed);
    if (attempts.length === 0) attempts.push({ assignment: first, startedAt: new Date(), error });
    return { ...settled, failed: attempts };
  }
  const [{ assignment, startedAt, guarded }] = members as [Member];
  if (members.length === 1 && !failed) {
    return { ...settled, failed: [{ assignment, startedAt, error: causeOf(error, guarded) }] };
  }
  log.warn(
    {
      error: describeError(statementError(error)).text,
      events: members.length,
    },
    'a transaction that several attempts shared was rolled back; they are run one by one',
  );
  const own = failed ? blame(failed, pace) : settled;
  return {
    ...settled,
    failed: own.failed,
    alone: [...members.map(({ assignment }) => assignment), ...own.alone],
  };
}
