// A handler's `batch`: many events in one transaction; if it throws, the caller runs them one by one.
import { describeError } from '../errors.ts';
import { claimRows } from '../events/locks.ts';
import { markManyProcessed } from '../events/outcomes.ts';
import type { Handler } from '../handlers/handler.ts';
import { keyText } from '../queue/queue.ts';
import { endSpan, inSpan, logFieldsOf, type Span } from '../tracing.ts';
import { type AttemptDeps, transactionOptions } from './attempt.ts';
import { claimOf, type Entry } from './job.ts';
import { runsOf } from './plan.ts';
import { beginBatch } from './spans.ts';
import { withinTime } from './timeout.ts';
import { type GuardedTransaction, guardTransaction } from './transaction-guard/guarded-transaction.ts';

export const maxBatchEvents = 200;

/** The one handler with `batch` that an entry is for; undefined: the entry has to run on its own. */
export function batchHandlerOf({ plan, event }: Entry): Handler | undefined {
  // After a failure the event runs alone, so that it fails alone.
  if (plan.kind !== 'run' || plan.runs.length !== 1 || event.failures > 0 || event.deferrals > 0)
    return undefined;
  const { handler } = plan.runs[0]!;
  return handler.batch ? handler : undefined;
}

export interface BatchResult {
  /** Committed, with their effects. */
  processed: Entry[];
  /** Their row is locked, settled, or another job's: they were not in the batch. */
  unclaimed: Entry[];
  /** Rolled back: each has to run on its own. */
  alone: Entry[];
  /** With `alone`: why. */
  error?: unknown;
}

export async function runBatch(
  handler: Handler,
  entries: readonly Entry[],
  deps: AttemptDeps,
): Promise<BatchResult> {
  let claimed: Entry[] = [];
  let unclaimed: Entry[] = [];
  let span: Span | undefined;
  try {
    await deps.database.transaction(async (tx) => {
      const keys = new Set((await claimRows(tx, entries.map(claimOf))).map(keyText));
      claimed = entries.filter(({ key }) => keys.has(key));
      unclaimed = entries.filter(({ key }) => !keys.has(key));
      if (claimed.length === 0) return;
      const guarded = guardTransaction(tx, deps.log);
      span = beginBatch(handler, claimed);
      await withinTime(tx, deps, deps.signal, (signal) =>
        callBatch(handler, claimed, guarded, deps, signal, span),
      );
      const swallowed = guarded.firstError();
      if (swallowed) throw swallowed;
      markManyProcessed(tx, claimed.map(claimOf));
    }, transactionOptions(deps));
    if (span) endSpan(span, 'processed');
    return { processed: claimed, unclaimed, alone: [] };
  } catch (error) {
    if (span) endSpan(span, 'failed', error);
    deps.log.warn(
      { error: describeError(error).text, events: entries.length },
      'a batch failed; its events run one by one',
    );
    const alone = claimed.length === 0 ? [...entries] : claimed;
    return { processed: [], unclaimed: claimed.length === 0 ? [] : unclaimed, alone, error };
  }
}

async function callBatch(
  handler: Handler,
  claimed: readonly Entry[],
  guarded: GuardedTransaction,
  { log, observer }: AttemptDeps,
  signal: AbortSignal,
  span: Span | undefined,
): Promise<void> {
  const items = claimed.flatMap(({ plan }) =>
    runsOf(plan).map(({ handlerEvent, payload }) => ({ event: handlerEvent, payload })),
  );
  const fields = { provider: handler.provider, events: items.length, ...(span && logFieldsOf(span)) };
  const startedAt = performance.now();
  try {
    const context = { items, tx: guarded.tx, log: log.child(fields), signal };
    await (span ? inSpan(span, async () => handler.batch?.(context)) : handler.batch?.(context));
  } finally {
    const ms = performance.now() - startedAt;
    for (const source of new Set(claimed.map(({ event }) => event.source)))
      observer?.handlerRan(handler, source, ms);
    await guarded.close();
  }
}
