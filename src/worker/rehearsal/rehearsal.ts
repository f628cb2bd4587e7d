// Runs the handlers of a stored event as an attempt would, counts the rows that they change, and rolls everything back.
import type { Config } from '../../config.ts';
import { type Database, type Queryable, statementError, type Transaction } from '../../database/database.ts';
import { describeError, type ErrorText } from '../../errors.ts';
import type { StoredEvent } from '../../events/event.ts';
import type { Handler } from '../../handlers/handler.ts';
import type { Logger } from '../../logger.ts';
import { keyText } from '../../queue/queue.ts';
import { causeOf, runHandlers, takeEntities, transactionOptions, validatedRuns } from '../attempt.ts';
import { decide, type FailureLimits } from '../failure.ts';
import type { Entry } from '../job.ts';
import { planEvent } from '../plan.ts';
import { Timings } from '../timings.ts';
import { type GuardedTransaction, guardTransaction } from '../transaction-guard/guarded-transaction.ts';
import { type RehearsedStatement, StatementRecorder } from './statement-recorder.ts';

/** Rows of a table that the handlers, their triggers and foreign keys wrote, also in savepoints that were rolled back. */
export interface TableChange {
  /** As Postgres writes it: with the schema if the search_path does not have it. */
  table: string;
  inserted: number;
  updated: number;
  deleted: number;
}

export interface Rehearsal {
  /** What an attempt would come to. `failed`: it would be tried again, unless `isFinal`. */
  outcome: 'processed' | 'ignored' | 'failed' | 'deferred' | 'busy';
  /** A PermanentError, or MAX_ATTEMPTS is 1: a dead letter at once. */
  isFinal: boolean;
  /** Why it is not `processed`. */
  reason: string | undefined;
  error: ErrorText | undefined;
  /** Empty unless `processed`. */
  tables: TableChange[];
  /** The handlers' statements in their order, also those before a failure; at most 100. */
  statements: RehearsedStatement[];
  /** Statements beyond these. */
  furtherStatements: number;
  durationMs: number;
}

export interface RehearsalDeps extends FailureLimits {
  database: Database;
  handlers: readonly Handler[];
  /** As HANDLER_TIMEOUT_SECONDS, in ms. */
  timeoutMs: number;
  log: Logger;
  /** Aborted when the handlers are interrupted; default: never. */
  signal?: AbortSignal;
}

export const limitsOf = (
  config: Pick<Config, 'MAX_ATTEMPTS' | 'MAX_DEFERRALS' | 'RETRY_DELAY_SECONDS' | 'RETRY_DELAY_MAX_SECONDS'>,
): FailureLimits => ({
  maxAttempts: config.MAX_ATTEMPTS,
  maxDeferrals: config.MAX_DEFERRALS,
  retryDelaySeconds: config.RETRY_DELAY_SECONDS,
  retryDelayMaxSeconds: config.RETRY_DELAY_MAX_SECONDS,
});

/**
 * The event's row and its job are not touched: a worker may run the event at the same time. Only what handlers do with `tx`
 * is rolled back; their calls to the outside happen. `batch` is not called. Never throws for what a handler does.
 */
export async function rehearse(stored: StoredEvent, deps: RehearsalDeps): Promise<Rehearsal> {
  // As after a replay.
  const event = { ...stored, failures: 0, deferrals: 0 };
  const plan = planEvent(deps.handlers, event);
  if (plan.kind === 'ignore') return ended('ignored', 0, { reason: plan.reason });
  const recorder = new StatementRecorder();
  const job = {
    id: '',
    retryCount: 0,
    lostBefore: 0,
    isIsolated: false,
    hasUnchargedLoss: false,
    events: [event],
  };
  const entry: Entry = { key: keyText(event), job, event, plan };
  const [startedAt, beganAtMs] = [new Date(), performance.now()];
  const spentMs = () => performance.now() - beganAtMs;
  try {
    if (plan.kind === 'reject') throw plan.error;
    const tables = await runAndRollBack(entry, deps, recorder);
    return tables
      ? ended('processed', spentMs(), { tables, ...recorder.recorded() })
      : ended('ignored', spentMs(), { reason: 'stale' });
  } catch (error) {
    const { outcome } = decide(entry, { error, startedAt }, deps);
    const kind = outcome.kind === 'deferred' || outcome.kind === 'failed' ? outcome.kind : 'busy';
    return ended(kind, spentMs(), {
      isFinal: outcome.isDead === true,
      reason: outcome.reason,
      error: describeError(statementError(error)),
      ...recorder.recorded(),
    });
  }
}

const ended = (outcome: Rehearsal['outcome'], durationMs: number, rest: Partial<Rehearsal>): Rehearsal => ({
  outcome,
  durationMs,
  isFinal: false,
  reason: undefined,
  error: undefined,
  tables: [],
  statements: [],
  furtherStatements: 0,
  ...rest,
});

/** @returns undefined if a newer event of its entity was applied. @throws as the attempt does */
async function runAndRollBack(
  entry: Entry,
  deps: RehearsalDeps,
  recorder: StatementRecorder,
): Promise<TableChange[] | undefined> {
  const { signal = new AbortController().signal } = deps;
  const attempt = { ...deps, timings: new Timings(), stopping: signal, signal };
  const runs = await validatedRuns(entry.plan, attempt);
  let guarded: GuardedTransaction | undefined;
  let result: { tables: TableChange[] | undefined } | undefined;
  const work = async (tx: Transaction) => {
    const due = await takeEntities(tx, entry.event, runs);
    guarded = guardTransaction(recorder.listenTo(tx), deps.log);
    if (due.length > 0) await runHandlers(tx, guarded, entry, due, attempt);
    // Constraints that are deferred to COMMIT fail here.
    await tx.query('SET CONSTRAINTS ALL IMMEDIATE');
    result = { tables: due.length > 0 ? await readChanges(tx) : undefined };
    throw new Error('rolled back on purpose');
  };
  try {
    await deps.database.transaction(work, transactionOptions(attempt));
  } catch (error) {
    if (!result) throw causeOf(error, guarded);
  }
  return result?.tables;
}

async function readChanges(tx: Queryable): Promise<TableChange[]> {
  const { rows } = await tx.query<TableChange & Record<string, unknown>>(
    `SELECT relid::regclass::text AS table, n_tup_ins::int AS inserted, n_tup_upd::int AS updated, n_tup_del::int AS deleted
     FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 ORDER BY 1`,
  );
  return rows;
}
