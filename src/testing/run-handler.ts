// Runs a handler for one event as a worker would, in a transaction that is rolled back.
import { statementError } from '../database/database.ts';
import type { Handler } from '../handlers/handler.ts';
import { runAttempt } from '../worker/attempt.ts';
import { decide } from '../worker/failure.ts';
import type { AttemptResult, Entry, Outcome } from '../worker/job.ts';
import { Timings } from '../worker/timings.ts';
import { checkHandler, trialTimeoutMs } from './check-handler.ts';
import { log, rolledBack } from './rolled-back.ts';
import { makeTrialEvent } from './trial-event.ts';
import type { HandlerRun, RunOptions } from './types.ts';

/** The defaults of the settings, see docs/settings.md. */
const limits = { maxAttempts: 5, maxDeferrals: 100, retryDelaySeconds: 60, retryDelayMaxSeconds: 3_600 };

/**
 * Runs the handler for one event: its schema, `entity`, the guard of `tx`, `Later`, errors and the time-out as in a worker.
 * Everything is rolled back. `batch` is not called: see `runBatch`.
 * @throws TypeError for a handler or options that cannot run, Error with the remedy for a database that cannot be used,
 *   and whatever `prepare` throws; never an error of the handler, which is in the result
 */
export async function runHandler(handler: Handler, options: RunOptions): Promise<HandlerRun> {
  checkHandler(handler);
  const event = makeTrialEvent(handler, options);
  const { timeoutMs = trialTimeoutMs, attempt = 1 } = options;
  return rolledBack({ ...options, timeoutMs }, async ({ database, store, changes }) => {
    const [entry] = (await store(handler, [event], attempt - 1)) as [Entry];
    if (entry.plan.kind === 'ignore')
      return { outcome: 'ignored', status: 'IGNORED', reason: entry.plan.reason, changes: [] };
    const { signal } = new AbortController(); // nobody stops this worker
    const result = await runAttempt(entry, {
      ...{ database, log, timeoutMs },
      ...{ timings: new Timings(), stopping: signal, signal },
    });
    return { ...resultOf(entry, result), changes: result.kind === 'processed' ? await changes() : [] };
  });
}

function resultOf(entry: Entry, result: AttemptResult): Omit<HandlerRun, 'changes'> {
  if (result.kind === 'processed') return { outcome: 'processed', status: 'PROCESSED' };
  if (result.kind === 'ignored') return { outcome: 'ignored', status: 'IGNORED', reason: result.reason };
  if (result.kind === 'unclaimed') throw new Error('the event could not be claimed');
  const { outcome } = decide(entry, result, limits);
  return {
    outcome: outcome.kind as Extract<Outcome['kind'], HandlerRun['outcome']>,
    status: outcome.isDead ? 'FAILED' : 'PENDING',
    ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
    error: statementError(result.error),
  };
}
