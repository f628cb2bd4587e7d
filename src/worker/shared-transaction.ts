// Several attempts in one transaction, each behind its own savepoint: one BEGIN, claim, marking and COMMIT for many.
import { ConnectionLostError, type Transaction } from '../database/database.ts';
import { describeError, sqlState } from '../errors.ts';
import { claimRows } from '../events/locks.ts';
import { markManyProcessed } from '../events/outcomes.ts';
import { failpoint } from '../failpoint.ts';
import { keyText } from '../queue/queue.ts';
import { type AttemptDeps, causeOf, runHandlers, transactionOptions } from './attempt.ts';
import { claimOf, type Entry, type UncommittedAttempt } from './job.ts';
import { runsOf } from './plan.ts';
import { beginAttempt } from './spans.ts';
import { type GuardedTransaction, guardTransaction } from './transaction-guard/guarded-transaction.ts';

/** No handler starts in a shared transaction that is older: its events' effects wait for COMMIT, and so do its locks. */
export const maxSharedMs = 50;
/** Postgres keeps 64 subtransactions of a transaction at hand; beyond that every snapshot pays. */
export const maxSharedEvents = 32;

export interface SharedResult {
  /** Committed, with their effects. `ms`: the handler's run. */
  processed: { entry: Entry; ms: number }[];
  /** Rolled back alone, by a fault of their own. */
  threw: (UncommittedAttempt & { entry: Entry })[];
  /** Their row is locked, settled, or another job's: no handler ran. */
  unclaimed: Entry[];
  /** Not run, or rolled back for a reason that may be a neighbour's: each has to run in a transaction of its own. */
  alone: Entry[];
  /** Not run: the transaction was full. */
  unrun: Entry[];
}

/**
 * Whether the event may share a transaction: every handler of it allows that, none has a `concurrency` or an `entity` (its lock would be
 * held longer and could deadlock), and no attempt has failed or was deferred before (so a failure stays alone).
 */
export function isShareable({ event, plan }: Entry): boolean {
  if (plan.kind !== 'run' || plan.limit || event.failures > 0 || event.deferrals > 0) return false;
  return plan.runs.every(
    ({ handler, entity }) => entity === null && !handler.batch && handler.transaction !== 'own',
  );
}

interface Member {
  entry: Entry;
  startedAt: Date;
  ms: number;
  guarded: GuardedTransaction;
}

/** Where two transactions wait for each other's rows, the sharing may be the reason: such an attempt runs alone. */
const lockConflicts = new Set(['40001', '40P01', '55P03']);

/** What one shared transaction has done so far. */
interface Run {
  entries: readonly Entry[];
  /** Their handlers returned. */
  members: Member[];
  threw: (UncommittedAttempt & { entry: Entry }) | undefined;
  unclaimed: Entry[];
}

/** Runs the entries in order, as many as fit. Never throws for what a handler does. */
export async function runShared(
  entries: readonly Entry[],
  deps: AttemptDeps,
  maxMs = maxSharedMs,
): Promise<SharedResult> {
  const run: Run = { entries, members: [], threw: undefined, unclaimed: [] };
  try {
    await failpoint('worker.fetched');
    await deps.database.transaction(async (tx) => {
      await failpoint('worker.after-begin');
      await runMembers(tx, run, deps, maxMs);
      await failpoint('worker.after-handler');
      markManyProcessed(
        tx,
        run.members.map(({ entry }) => claimOf(entry)),
      );
    }, transactionOptions(deps));
    await failpoint('worker.after-commit');
    return {
      processed: run.members.map(({ entry, ms }) => ({ entry, ms })),
      ...blame(run),
      unclaimed: run.unclaimed,
      unrun: unrunOf(run),
    };
  } catch (error) {
    return afterRollback(run, error, deps);
  }
}

async function runMembers(tx: Transaction, run: Run, deps: AttemptDeps, maxMs: number): Promise<void> {
  const began = performance.now();
  const claimed = new Set((await claimRows(tx, run.entries.map(claimOf))).map(keyText));
  const isClaimed = ({ key }: Entry) => claimed.has(key);
  run.unclaimed = run.entries.filter((entry) => !isClaimed(entry));
  for (const entry of run.entries.filter(isClaimed)) {
    if (deps.stopping.aborted) return;
    const previous = run.members.at(-1);
    // Settings and locks that a handler leaves in the transaction are not for the next event.
    if (previous && (performance.now() - began > maxMs || !previous.guarded.leavesOnlyRows())) return;
    const savepoint = previous && `postbell_event_${run.members.length}`;
    const member = { entry, startedAt: new Date(), ms: 0, guarded: guardTransaction(tx, deps.log) };
    try {
      if (savepoint) tx.savepoint(savepoint).catch(() => {}); // the statement behind it fails as well
      beginAttempt(entry);
      member.ms = await runHandlers(tx, member.guarded, entry, runsOf(entry.plan), deps);
      run.members.push(member);
    } catch (error) {
      run.threw = { entry, startedAt: member.startedAt, error: causeOf(error, member.guarded) };
      if (!savepoint) throw error; // the transaction holds nothing else
      return void (await tx.rollBackTo(savepoint));
    }
  }
}

function afterRollback(run: Run, error: unknown, { log }: AttemptDeps): SharedResult {
  const { members, threw, unclaimed, entries } = run;
  const result: SharedResult = { processed: [], threw: [], unclaimed, alone: [], unrun: unrunOf(run) };
  if (members.length === 0) {
    // The first handler threw; or BEGIN or the claim failed, and no handler ran.
    const first = threw ?? { entry: entries[0]!, startedAt: new Date(), error };
    return { ...result, threw: [first], unrun: result.unrun.filter((entry) => entry !== first.entry) };
  }
  if (error instanceof ConnectionLostError) {
    // No event is at fault, and COMMIT may have succeeded: each is settled by what its row says.
    const lost = members.map(({ entry, startedAt }) => ({ entry, startedAt, error }));
    return { ...result, threw: [...lost, ...(threw ? [{ ...threw, error }] : [])] };
  }
  const [{ entry, startedAt, guarded }] = members as [Member];
  if (members.length === 1 && !threw)
    return { ...result, threw: [{ entry, startedAt, error: causeOf(error, guarded) }] };
  log.warn(
    { error: describeError(error).text, events: members.length },
    'a transaction that several attempts shared was rolled back; they run one by one',
  );
  const own = blame(run);
  return { ...result, threw: own.threw, alone: [...members.map((member) => member.entry), ...own.alone] };
}

/** Whose fault the failure behind its savepoint is. */
function blame({ threw }: Run): Pick<SharedResult, 'threw' | 'alone'> {
  if (!threw) return { threw: [], alone: [] };
  if (lockConflicts.has(sqlState(threw.error) ?? '')) return { threw: [], alone: [threw.entry] };
  return { threw: [threw], alone: [] };
}

function unrunOf({ entries, members, threw, unclaimed }: Run): Entry[] {
  const left = new Set([...members.map(({ entry }) => entry), ...unclaimed, threw?.entry]);
  return entries.filter((entry) => !left.has(entry));
}
