// A handler's `batch`: many events in one transaction; the caller runs them one by one if it throws.
import { describeError } from '../errors.ts';
import type { Handler } from '../handlers/handler.ts';
import {
  type Assignment,
  type AttemptDeps,
  isDue,
  lockAssignments,
  markAssignmentsProcessed,
  statementTimeoutMs,
} from './attempt.ts';
import { guardTransaction } from './guarded-transaction.ts';
import { runsOf } from './plan.ts';
import { withinTime } from './timeout.ts';

/** The one handler with `batch` that an assignment is for; undefined: it has to be run on its own. */
export function batchHandlerOf({ job, plan, event }: Assignment): Handler | undefined {
  if (plan.kind !== 'run' || plan.runs.length !== 1) return undefined;
  // After a failure it runs alone, so that it fails alone.
  if (job.retryCount > 0 || !isDue({ job, event })) return undefined;
  const { handler } = plan.runs[0]!;
  return handler.batch ? handler : undefined;
}

/** What became of a batch: nothing of `alone` was committed, and they have to be run one by one. */
export interface BatchOutcome {
  processed: readonly Assignment[];
  alone: readonly Assignment[];
  /** See `lockAssignments`. */
  held: readonly Assignment[];
}

/** Runs all of `assignments` whose rows are free through their handler's `batch`. */
export async function runBatch(
  handler: Handler,
  assignments: readonly Assignment[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<BatchOutcome> {
  let rows: { free: readonly Assignment[]; held: readonly Assignment[] } = { free: assignments, held: [] };
  try {
    await deps.database.transaction(
      async (tx) => {
        rows = await lockAssignments(tx, assignments);
        const { free } = rows;
        if (free.length === 0) return;
        const guarded = guardTransaction(tx, deps.log);
        await withinTime(tx, deps, signal, async (handlerSignal) => {
          const items = free.flatMap(({ plan }) =>
            runsOf(plan).map(({ handlerEvent, payload }) => ({ event: handlerEvent, payload })),
          );
          const log = deps.log.child({ provider: handler.provider, events: items.length });
          try {
            await handler.batch?.({ items, tx: guarded.tx, log, signal: handlerSignal });
          } finally {
            await guarded.close();
          }
        });
        const swallowed = guarded.firstError();
        if (swallowed) throw swallowed;
        markAssignmentsProcessed(tx, free);
      },
      { timeoutMs: statementTimeoutMs(deps.timeoutMs) },
    );
    return { processed: rows.free, alone: [], held: rows.held };
  } catch (error) {
    deps.log.warn(
      { error: describeError(error).text, events: rows.free.length },
      'a batch failed; its events are run one by one',
    );
    return { processed: [], alone: rows.free, held: rows.held };
  }
}
