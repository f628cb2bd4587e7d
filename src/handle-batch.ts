// A handler's `batch`: many events in one transaction; the caller runs them one by one if it throws.
import { describeError } from './errors.ts';
import { guardTransaction } from './guarded-transaction.ts';
import {
  type Assignment,
  type AttemptDeps,
  isDue,
  markAssignmentsProcessed,
  statementTimeoutMs,
} from './handle.ts';
import type { Handler } from './handlers.ts';
import { runsOf } from './plan.ts';
import { withinTime } from './within-time.ts';

/** The one handler with `batch` that an assignment is for; undefined: it has to be run on its own. */
export function batchHandlerOf({ job, plan, event }: Assignment): Handler | undefined {
  if (plan.kind !== 'run' || plan.runs.length !== 1) return undefined;
  // After a failure it runs alone, so that it fails alone.
  if (job.retryCount > 0 || !isDue({ job, event })) return undefined;
  const { handler } = plan.runs[0]!;
  return handler.batch ? handler : undefined;
}

/**
 * Runs all of `assignments` through their handler's `batch`.
 * @returns false when nothing was committed and they have to be run one by one
 */
export async function runBatch(
  handler: Handler,
  assignments: readonly Assignment[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await deps.database.transaction(
      async (tx) => {
        const guarded = guardTransaction(tx, deps.log);
        await withinTime(tx, deps, signal, async (handlerSignal) => {
          const items = assignments.flatMap(({ plan }) =>
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
        markAssignmentsProcessed(tx, assignments);
      },
      { timeoutMs: statementTimeoutMs(deps.timeoutMs) },
    );
    return true;
  } catch (error) {
    deps.log.warn(
      { error: describeError(error).text, events: assignments.length },
      'a batch failed; its events are run one by one',
    );
    return false;
  }
}
