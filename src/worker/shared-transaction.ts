// Quick attempts in a row share a transaction, each behind its own savepoint: one BEGIN, marking and COMMIT for many.
import { ConnectionLostError, statementError, type Transaction } from '../database/database.ts';
import { describeError, sqlState } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import {
  type Assignment,
  type AttemptDeps,
  causeOf,
  isDue,
  lockAssignments,
  markAssignmentsProcessed,
  runHandlers,
  transactionOptions,
} from './attempt.ts';
import { type GuardedTransaction, guardTransaction } from './guarded-transaction.ts';
import { runsOf } from './plan.ts';
import type { HandlerPace } from './timings.ts';

/** The first event's effects wait for their COMMIT, and its locks are held, for so long and one handler more. */
const mostMs = 20;
/** Postgres keeps 64 subtransactions of a transaction at hand; beyond that every snapshot pays. */
export const mostEvents = 32;

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
  /** See `lockAssignments`. */
  held: Assignment[];
  /** Not begun: for another transaction. */
  left: Assignment[];
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
 * Runs as many of `candidates` as there is time for, in their order, in one transaction. Never throws for what a handler
 * does.
 * @param mayFollow asked for each but the first, with the transaction's age and how many events have run in it
 * @param onEnding see TransactionOptions
 */
export async function runShared(
  candidates: readonly Assignment[],
  mayFollow: (next: Assignment, ageMs: number, events: number) => boolean,
  deps: AttemptDeps,
  signal: AbortSignal,
  onEnding: () => void,
): Promise<SharedOutcome> {
  const members: Member[] = [];
  let failed: FailedAttempt | undefined;
  let rows: { free: Assignment[]; held: Assignment[] } = { free: [...candidates], held: [] };
  try {
    await failpoint('worker.fetched');
    await deps.database.transaction(
      async (tx) => {
        await failpoint('worker.after-begin');
        rows = await lockAssignments(tx, candidates);
        const beganAt = performance.now();
        for (let next = rows.free.shift(); next; ) {
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
          const [candidate] = rows.free;
          const isNext =
            candidate &&
            guarded.isPlain() &&
            mayFollow(candidate, performance.now() - beganAt, members.length);
          next = isNext ? rows.free.shift() : undefined;
        }
        await failpoint('worker.after-handler');
        mark(tx, members);
      },
      transactionOptions(deps, onEnding),
    );
    await failpoint('worker.after-commit');
    const processed = members.map(({ assignment, durationMs }) => ({ assignment, durationMs }));
    const own = failed ? blame(failed, deps.pace) : { failed: [], alone: [] };
    return { processed, ...own, held: rows.held, left: rows.free };
  } catch (error) {
    // It failed before it came to any: a first one is settled for it, so that the others are not tried again and again.
    const first = members.length === 0 && !failed ? rows.free.shift() : undefined;
    return { ...afterRollback(first, members, failed, error, deps), held: rows.held, left: rows.free };
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
  if (members.length === 0) return;
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
  first: Assignment | undefined,
  members: readonly Member[],
  failed: FailedAttempt | undefined,
  error: unknown,
  { pace, log }: AttemptDeps,
): Omit<SharedOutcome, 'held' | 'left'> {
  const settled: Omit<SharedOutcome, 'held' | 'left'> = { processed: [], failed: [], alone: [] };
  if (members.length === 0 || error instanceof ConnectionLostError) {
    // Of a lost connection nobody is at fault, and the COMMIT may have succeeded: each is looked at anew, later.
    const attempts = members.map(({ assignment, startedAt }) => ({ assignment, startedAt, error }));
    if (failed) attempts.push(error instanceof ConnectionLostError ? { ...failed, error } : failed);
    if (first) attempts.push({ assignment: first, startedAt: new Date(), error });
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
