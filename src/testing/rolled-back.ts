// A transaction of the test's database that is rolled back: stores the trial events in it, and lets the worker's code run there.
import { defaultSchemas } from '../config.ts';
import { ConnectionLostError, type Database, type Transaction } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { type EventWithJob, readStoredEvents } from '../events/event.ts';
import { insertEvents } from '../events/insert.ts';
import type { Handler } from '../handlers/handler.ts';
import { createLogger } from '../logger.ts';
import { keyText } from '../queue/queue.ts';
import { databaseProblem } from '../runtime/database-problem.ts';
import { workerSessionSettings } from '../worker/attempt.ts';
import type { Entry } from '../worker/job.ts';
import { planEvent } from '../worker/plan.ts';
import { guardTransaction } from '../worker/transaction-guard/guarded-transaction.ts';
import { databaseInside } from './database-inside.ts';
import { rollBackAndCompare } from './row-changes.ts';
import type { RowChange, TrialDatabase } from './types.ts';

const savepoint = 'postbell_run_handler';
export const log = createLogger('silent', 'test', { toStandardError: true });

/** Inside the transaction. */
export interface Inside {
  /** Its transactions are parts of the one that is rolled back. */
  database: Database;
  /** Stores the events, each with a job of its own. @throws Error with the remedy */
  store(handler: Handler, events: readonly EventWithJob[], failures: number): Promise<Entry[]>;
  /** Call it once, after `store`: it rolls back. */
  changes(): Promise<RowChange[]>;
}

/**
 * @returns what `work` returns
 * @throws whatever `prepare` and `work` throw, TypeError without a database, Error with the remedy for a database that cannot be used
 */
export async function rolledBack<T>(
  { database: url, schema, prepare, timeoutMs }: TrialDatabase & { timeoutMs: number },
  work: (inside: Inside) => Promise<T>,
): Promise<T> {
  if (!url) throw new TypeError('database must be the URL of a database on which `postbell migrate` has run');
  const database = openDatabase({
    ...{ url, applicationName: 'postbell test', maxConnections: 1, log },
    // A statement that outlives the time limit ends with its connection.
    sessionSettings: { ...workerSessionSettings(timeoutMs), client_connection_check_interval: '500ms' },
    connectTimeoutMs: 30_000, // tests share their machine
    schemas: { ...defaultSchemas, inbox: schema ?? defaultSchemas.inbox },
  });
  let ended: { result: T } | undefined;
  const inTransaction = async (tx: Transaction) => {
    await prepare?.(guardTransaction(tx, log).tx);
    ended = { result: await work(openInside(tx, database)) };
    throw new Error('rolled back on purpose');
  };
  try {
    await database.transaction(inTransaction, { timeoutMs: timeoutMs + 10_000, mayBeIdle: true });
  } catch (error) {
    if (!ended) throw error instanceof ConnectionLostError ? withRemedy(error.cause) : error;
  } finally {
    await database.close();
  }
  return (ended as unknown as { result: T }).result;
}

function openInside(tx: Transaction, database: Database): Inside {
  let firstId = '';
  return {
    database: databaseInside(tx, database),
    store: async (handler, events, failures) => {
      try {
        const stored = await storeEvents(tx, events);
        firstId = stored.firstId;
        return stored.rows.map((row, index) => entryOf(handler, events[index]!, { ...row, failures }));
      } catch (error) {
        throw withRemedy(error);
      }
    },
    changes: () => rollBackAndCompare(tx, savepoint, firstId),
  };
}

/** Behind the savepoint, so that the rows bear the first transaction id of what is rolled back. */
async function storeEvents(tx: Transaction, events: readonly EventWithJob[]) {
  await tx.savepoint(savepoint);
  const inserted = await insertEvents(tx, events);
  const taken = events.find((event) => !inserted.has(keyText(event)));
  if (taken) throw new TypeError(`the database has an event ${keyText(taken)}`);
  const rows = new Map((await readStoredEvents(tx, events)).map((row) => [keyText(row), row]));
  if (rows.size < events.length) throw new TypeError('two events have the same id');
  const [first] = events;
  const { rows: ids } = await tx.query<{ id: string }>(
    'SELECT xmin::text AS id FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2',
    [first?.source, first?.eventId],
  );
  return { rows: events.map((event) => rows.get(keyText(event))!), firstId: ids[0]!.id };
}

function entryOf(handler: Handler, event: EventWithJob, stored: Entry['event']): Entry {
  const job = {
    ...{ id: event.jobId, retryCount: 0, lostBefore: 0, isIsolated: false, hasUnchargedLoss: false },
    events: [event],
  };
  return { key: keyText(event), job, event: stored, plan: planEvent([handler], stored) };
}

function withRemedy(error: unknown): unknown {
  const problem = databaseProblem(error);
  if (!problem) return error;
  return new Error(`the database cannot be used: ${problem.message}; ${problem.remedy}`, { cause: error });
}
