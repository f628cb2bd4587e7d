// The database as the operators' page uses it: few connections of its own, opened with the first page, short statements.
import type { Queryable, Transaction } from '../database/database.ts';
import { isCancelled } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { openQueue } from '../queue/open-queue.ts';
import { createReceiver, type Receiver } from '../receive/receiver.ts';
import { connect } from '../runtime/connection.ts';
import type { ConnectedSettings } from '../runtime/settings.ts';

/** Few, so that the page leaves the connections of a small database to receiving. */
const maxConnections = 2;
const statementTimeoutMs = 3_000;

export interface OpsInbox {
  /** A READ ONLY transaction. @throws SlowError */
  read<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** @throws SlowError */
  change<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Takes verified requests in, as `web` does for deliveries. Opened with the first. */
  receiver(): Promise<Pick<Receiver, 'submit'>>;
  /** For statements outside a transaction. @throws SlowError */
  query: Queryable['query'];
  close(): Promise<void>;
}

/** A statement took longer than 3 s, or waited 3 s for a lock or a connection. */
export class SlowError extends Error {
  /** False where the database gave no answer: a COMMIT may have arrived. */
  readonly isRolledBack: boolean;

  constructor(cause: unknown, isRolledBack: boolean) {
    super('the database took longer than 3 s', { cause });
    this.name = 'SlowError';
    this.isRolledBack = isRolledBack;
  }
}

export function openOpsInbox(settings: ConnectedSettings, log: Logger): OpsInbox {
  const database = connect(settings, {
    applicationName: 'postbell ops',
    maxConnections,
    // Postgres cancels the statement itself; the client's limit is for a Postgres that does not answer.
    timeoutMs: statementTimeoutMs + 1_000,
    sessionSettings: { statement_timeout: `${statementTimeoutMs}` },
    log,
  });
  let receiving: Promise<{ receiver: Receiver; close(): Promise<void> }> | undefined;
  const open = async () => {
    const queue = await openQueue(database, log, { supervise: false });
    const { RECEIVE_TIMEOUT_MS: timeoutMs, RECEIVE_QUEUE_MAX: queueMax, SAME_BODY_HOURS } = settings.config;
    const receiver = createReceiver({
      database,
      queue,
      log,
      timeoutMs,
      queueMax,
      sameBodyHours: SAME_BODY_HOURS,
    });
    const close = () => receiver.close().then(() => queue.stop());
    return { receiver, close };
  };
  return {
    receiver: async () => {
      receiving ??= open();
      receiving.catch(() => (receiving = undefined)); // the next page tries again
      return (await receiving).receiver;
    },
    query: async (statement, values) => {
      try {
        return await database.query(statement, values);
      } catch (error) {
        return throwSlow(error);
      }
    },
    read: (work) =>
      database.transaction(work, { settings: { transaction_read_only: 'on' } }).catch(throwSlow),
    change: (work) => database.transaction(work).catch(throwSlow),
    close: async () => {
      await receiving?.then((opened) => opened.close()).catch(() => {}); // it was never opened
      await database.close();
    },
  };
}

function throwSlow(error: unknown): never {
  const isLate = error instanceof Error && /timeout/i.test(error.message);
  throw isCancelled(error) || isLate ? new SlowError(error, isCancelled(error)) : error;
}

/** The result, or undefined where the database took too long: the page says so in its place. */
export function orSlow<T>(result: Promise<T>): Promise<T | undefined> {
  return result.catch((error: unknown) => {
    if (error instanceof SlowError) return undefined;
    throw error;
  });
}
