// Runs a handler for one event as a worker would, in a transaction that is rolled back.

import { defaultSchemas } from '../config.ts';
import {
  ConnectionLostError,
  type Database,
  statementError,
  type Transaction,
} from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { type EventWithJob, readEvents } from '../events/event.ts';
import { insertEvents } from '../events/insert.ts';
import { type Handler, handlerProblem } from '../handlers/handler.ts';
import { providerProblem } from '../handlers/load.ts';
import { createLogger } from '../logger.ts';
import { keyText } from '../queue/queue.ts';
import { databaseProblem } from '../runtime/database-problem.ts';
import { runAttempt, workerSessionSettings } from '../worker/attempt.ts';
import { decide } from '../worker/failure.ts';
import { guardTransaction } from '../worker/guarded-transaction.ts';
import type { AttemptResult, Entry, Outcome } from '../worker/job.ts';
import { planEvent } from '../worker/plan.ts';
import { Timings } from '../worker/timings.ts';
import { databaseInside } from './database-inside.ts';
import { rollBackAndCompare } from './row-changes.ts';
import { makeTrialEvent } from './trial-event.ts';
import type { HandlerRun, RunOptions } from './types.ts';

/** The defaults of the settings, see docs/settings.md. */
const limits = { maxAttempts: 5, maxDeferrals: 100, retryDelaySeconds: 60, retryDelayMaxSeconds: 3_600 };
const savepoint = 'postbell_run_handler';
const log = createLogger('silent', 'test', { toStandardError: true });

/**
 * Runs the handler for one event: its schema, `entity`, the guard of `tx`, `Later`, errors and the time-out as in a worker.
 * Everything is rolled back. `batch` is not called.
 * @throws TypeError for a handler or options that cannot run, Error with the remedy for a database that cannot be used,
 *   and whatever `prepare` throws; never an error of the handler, which is in the result
 */
export async function runHandler(handler: Handler, options: RunOptions): Promise<HandlerRun> {
  const problem = handlerProblem(handler) ?? providerProblem(handler.provider);
  if (problem !== undefined) throw new TypeError(`runHandler: ${problem}`);
  if (!options.database)
    throw new TypeError(
      'runHandler: database must be the URL of a database on which `postbell migrate` has run',
    );
  const event = makeTrialEvent(handler, options);
  const { timeoutMs = 10_000 } = options;
  const database = openDatabase({
    ...{ url: options.database, applicationName: 'postbell test', maxConnections: 1, log },
    // A statement that outlives the time limit ends with its connection.
    sessionSettings: { ...workerSessionSettings(timeoutMs), client_connection_check_interval: '500ms' },
    connectTimeoutMs: 30_000, // tests share their machine
    schemas: { ...defaultSchemas, inbox: options.schema ?? defaultSchemas.inbox },
  });
  let ended: HandlerRun | undefined;
  const work = async (tx: Transaction) => {
    await options.prepare?.(guardTransaction(tx, log).tx);
    ended = await runInside(tx, database, handler, event, { ...options, timeoutMs });
    throw new Error('rolled back on purpose');
  };
  try {
    await database.transaction(work, { timeoutMs: timeoutMs + 10_000, mayBeIdle: true });
  } catch (error) {
    if (!ended) throw error instanceof ConnectionLostError ? withRemedy(error.cause) : error;
  } finally {
    await database.close();
  }
  return ended as unknown as HandlerRun;
}

async function runInside(
  tx: Transaction,
  database: Database,
  handler: Handler,
  event: EventWithJob,
  { attempt = 1, timeoutMs }: { attempt?: number; timeoutMs: number },
): Promise<HandlerRun> {
  const { entry, firstId } = await storeEvent(tx, handler, event, attempt - 1);
  if (entry.plan.kind === 'ignore') {
    return { outcome: 'ignored', status: 'IGNORED', reason: entry.plan.reason, changes: [] };
  }
  const { signal } = new AbortController(); // nobody stops this worker
  const result = await runAttempt(entry, {
    ...{ database: databaseInside(tx, database), log, timeoutMs },
    ...{ timings: new Timings(), stopping: signal, signal },
  });
  const changes = result.kind === 'processed' ? await rollBackAndCompare(tx, savepoint, firstId) : [];
  return { ...resultOf(entry, result), changes };
}

/** Behind the savepoint, so that the row bears the first transaction id of what is rolled back. */
async function storeEvent(
  tx: Transaction,
  handler: Handler,
  event: EventWithJob,
  failures: number,
): Promise<{ entry: Entry; firstId: string }> {
  try {
    await tx.savepoint(savepoint);
    const inserted = await insertEvents(tx, [event]);
    if (inserted.size === 0) throw new TypeError(`runHandler: the database has an event ${keyText(event)}`);
    const [stored] = await readEvents(tx, [event]);
    const { rows } = await tx.query<{ id: string }>(
      'SELECT xmin::text AS id FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2',
      [event.source, event.eventId],
    );
    const job = {
      id: event.jobId,
      retryCount: 0,
      lostBefore: 0,
      isIsolated: false,
      hasUnchargedLoss: false,
      events: [event],
    };
    const failed = { ...stored!, failures };
    const plan = planEvent([handler], failed);
    return { entry: { key: keyText(event), job, event: failed, plan }, firstId: rows[0]!.id };
  } catch (error) {
    throw withRemedy(error);
  }
}

function resultOf(entry: Entry, result: AttemptResult): Omit<HandlerRun, 'changes'> {
  if (result.kind === 'processed') return { outcome: 'processed', status: 'PROCESSED' };
  if (result.kind === 'ignored') return { outcome: 'ignored', status: 'IGNORED', reason: result.reason };
  if (result.kind === 'unclaimed') throw new Error('runHandler: the event could not be claimed');
  const { outcome } = decide(entry, result, limits);
  return {
    outcome: outcome.kind as Extract<Outcome['kind'], HandlerRun['outcome']>,
    status: outcome.isDead ? 'FAILED' : 'PENDING',
    ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
    error: statementError(result.error),
  };
}

function withRemedy(error: unknown): unknown {
  const problem = databaseProblem(error);
  if (!problem) return error;
  return new Error(`runHandler: the database cannot be used: ${problem.message}; ${problem.remedy}`, {
    cause: error,
  });
}
