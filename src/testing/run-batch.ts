// Runs a handler's `batch` for several events as a worker would, in a transaction that is rolled back.
import { statementError } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Handler } from '../handlers/handler.ts';
import { batchHandlerOf, maxBatchEvents, runBatch as runInWorker } from '../worker/batch.ts';
import type { Entry } from '../worker/job.ts';
import { Timings } from '../worker/timings.ts';
import { checkHandler, trialTimeoutMs } from './check-handler.ts';
import { log, rolledBack } from './rolled-back.ts';
import { makeTrialEvent } from './trial-event.ts';
import type { BatchOptions, BatchRun } from './types.ts';

/**
 * Runs `batch` for these events: the schema, the guard of `tx` and the time-out as in a worker. Everything is rolled back.
 * @throws TypeError for a handler or options that cannot run and for an event that a worker would not give to `batch`,
 *   Error with the remedy for a database that cannot be used, and whatever `prepare` throws; never an error of `batch`
 */
export async function runBatch(handler: Handler, options: BatchOptions): Promise<BatchRun> {
  checkHandler(handler);
  const { events, timeoutMs = trialTimeoutMs } = options;
  if (!handler.batch) throw new TypeError('the handler has no batch: use runHandler');
  if (events.length === 0 || events.length > maxBatchEvents)
    throw new TypeError(`events must be a list of 1 to ${maxBatchEvents} events`);
  const trials = events.map((event) => makeTrialEvent(handler, event));
  return rolledBack({ ...options, timeoutMs }, async ({ database, store, changes }) => {
    const entries = await store(handler, trials, 0);
    for (const [index, entry] of entries.entries())
      if (!batchHandlerOf(entry))
        throw new TypeError(`events[${index}] would not be given to batch: ${reasonOf(entry)}`);
    const { signal } = new AbortController(); // nobody stops this worker
    const result = await runInWorker(handler, entries, {
      ...{ database, log, timeoutMs },
      ...{ timings: new Timings(), stopping: signal, signal },
    });
    if (result.processed.length === entries.length) return { outcome: 'processed', changes: await changes() };
    const error = statementError(result.error);
    return { outcome: 'one by one', reason: describeError(error).text, error, changes: [] };
  });
}

function reasonOf({ plan }: Entry): string {
  if (plan.kind === 'ignore') return plan.reason;
  if (plan.kind === 'reject') return describeError(plan.error).text;
  return 'its schema is asynchronous';
}
