// A transaction on a session: sends its statements, ends the transaction, and knows whether Postgres committed.
import type pg from 'pg';
import { CommitRolledBackError, CommitUnconfirmedError, sqlState } from '../errors.ts';
import { failpoint, isArmedAt } from '../failpoint.ts';
import {
  AtCommitError,
  ConnectionLostError,
  type QueryResult,
  type Row,
  type Statement,
  statementError,
  type Transaction,
  type TransactionOptions,
} from './database.ts';
import type { OpenTransaction } from './dead-connections.ts';
import { processIdOf, type Session, type SessionPool } from './sessions.ts';
import { allOrFirstError, type Sending, toQueryConfig } from './statements.ts';

/** A connection that died without a sign must not hold its locks: others would wait for its rows, or skip them. */
const briefSettings = { idle_in_transaction_session_timeout: '4s' };

/** The parts that all transactions of one database share. */
export interface TransactionDeps {
  sessions: SessionPool;
  sending: Sending;
  /** `SET LOCAL` in each transaction. */
  settings: Record<string, string>;
  /** Limit of a statement, unless the options set another. */
  timeoutMs: number;
  /** The running transactions, for the check for dead connections. */
  open: Set<OpenTransaction>;
}

export async function runTransaction<T>(
  deps: TransactionDeps,
  work: (tx: Transaction) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const { sessions } = deps;
  const session = await sessions.open();
  const transaction = new PgTransaction(session, deps, options);
  try {
    const beginning = transaction.begin();
    const [result] = await Promise.all([work(transaction), ...beginning]);
    await transaction.commit();
    return result as T;
  } catch (error) {
    await transaction.endAfter(error);
    // Postgres sends an error (57P01 …) before it ends a session.
    if (!transaction.isConnectionLost && !isEndOfSession(error)) throw error;
    throw new ConnectionLostError(statementError(error));
  }
}

/**
 * `ending`: the last statements are sent; a later statement of the caller would run outside the transaction.
 * `released`: the session is back in the pool, and may serve another transaction.
 */
type State = 'open' | 'ending' | 'commit sent' | 'commit answered' | 'released';

class PgTransaction implements Transaction, OpenTransaction {
  readonly processId: number;
  unanswered = 0;
  aliveAt = 0;
  begun: Promise<void> = Promise.resolve();
  /** True if the connection had dropped before it was released. */
  isConnectionLost = false;
  readonly #session: Session;
  readonly #deps: TransactionDeps;
  readonly #options: TransactionOptions;
  readonly #timeoutMs: number;
  readonly #last: Statement[] = [];
  #state: State = 'open';
  /** SQLSTATE of a warning in the answer to COMMIT. */
  #warning: string | undefined;

  constructor(session: Session, deps: TransactionDeps, options: TransactionOptions) {
    this.#session = session;
    this.#deps = deps;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? deps.timeoutMs;
    this.processId = processIdOf(session.client);
    deps.open.add(this);
  }

  query<R extends Row = Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>> {
    return this.#state === 'open' ? this.#run<R>(statement, values) : rejectLate();
  }

  savepoint(name: string): Promise<unknown> {
    this.#sendTogether();
    return this.query(`SAVEPOINT ${name}`);
  }

  rollBackTo(name: string): Promise<unknown> {
    return this.query(`ROLLBACK TO SAVEPOINT ${name}`);
  }

  atCommit(statement: Statement): void {
    this.#last.push(statement);
  }

  abandon(reason: Error): void {
    this.#release(reason);
    this.end(); // the pool alone would let the running statement finish
  }

  end(): void {
    this.#session.end();
  }

  /** Call it once, before any statement. @returns the statements in flight */
  begin(): Promise<unknown>[] {
    this.#sendTogether(); // with the first statements of `work`
    const beginning: Promise<unknown>[] = [this.#run('BEGIN ISOLATION LEVEL READ COMMITTED')];
    const { mayBeIdle, settings: own } = this.#options;
    const settings = Object.entries({ ...this.#deps.settings, ...(!mayBeIdle && briefSettings), ...own });
    if (settings.length > 0)
      beginning.push(this.#run(settings.map(([key, value]) => `SET LOCAL ${key} = '${value}'`).join(';')));
    this.begun = Promise.all(beginning).then(() => {});
    this.begun.catch(() => {}); // runTransaction throws the error
    return beginning;
  }

  async commit(): Promise<void> {
    const { commitSite, beforeCommitSite } = this.#options;
    const { stream } = this.#session;
    this.#enter('ending');
    stream.cork();
    const guards = this.#last.map((statement) =>
      this.#run(statement).catch((error: unknown) => {
        throw new AtCommitError(error);
      }),
    );
    if (beforeCommitSite && isArmedAt(beforeCommitSite)) {
      stream.uncork();
      await allOrFirstError(guards);
      await failpoint(beforeCommitSite);
      stream.cork();
    }
    const ending = [...guards, this.#sendCommit()];
    stream.uncork();
    const [ended] = await Promise.all([allOrFirstError(ending), commitSite && failpoint(commitSite)]);
    // Postgres answers the COMMIT of an aborted transaction with ROLLBACK, without an error.
    if (ended.at(-1)?.command !== 'COMMIT') throw new CommitRolledBackError();
    if (this.#warning) throw new CommitUnconfirmedError(this.#warning);
    this.#release();
  }

  /** Rolls back unless COMMIT was sent, and releases the session. Never throws. */
  async endAfter(error: unknown): Promise<void> {
    if (this.#state === 'commit sent' || this.#state === 'commit answered') {
      // The transaction has ended; a ROLLBACK would hit the next transaction on this connection.
      this.#release(this.#state === 'commit answered' ? undefined : (error as Error));
    } else if (this.#state !== 'released') {
      this.#enter('ending');
      const rolledBack = await this.#run({ text: 'ROLLBACK', timeoutMs: 2_000 }).then(
        () => undefined,
        (rollbackError: Error) => rollbackError,
      );
      this.#release(rolledBack);
    }
  }

  /**
   * Sends all statements of this turn of the event loop in one packet: a system call costs more than a statement.
   */
  #sendTogether(): void {
    const { stream } = this.#session;
    stream.cork();
    process.nextTick(() => stream.uncork());
  }

  #sendCommit(): Promise<QueryResult<Row>> {
    const commit = this.#run('COMMIT');
    if (this.#options.needsStandby) this.#watchForWarning(commit);
    this.#enter('commit sent');
    commit.then(
      () => this.#enter('commit answered'),
      (error: unknown) => {
        if (sqlState(error) !== undefined && !isEndOfSession(error)) this.#enter('commit answered');
      },
    );
    return commit;
  }

  /** Records a warning in the answer to COMMIT, by SQLSTATE, since the text may be translated. */
  #watchForWarning(commit: Promise<unknown>): void {
    const { client } = this.#session;
    const onNotice = ({ code = '' }: { code?: string | undefined }) => {
      if (/^(01|57P01$)/.test(code)) this.#warning ??= code;
    };
    client.on('notice', onNotice);
    const stop = () => client.off('notice', onNotice);
    commit.then(stop, stop);
  }

  /** A released transaction stays released, even if answers still arrive. */
  #enter(state: State): void {
    if (this.#state !== 'released') this.#state = state;
  }

  #release(error?: Error): void {
    if (this.#state === 'released') return;
    this.#state = 'released';
    this.isConnectionLost = this.#session.lostBecause() !== undefined;
    this.#deps.open.delete(this);
    this.#session.leave(error);
  }

  #run<R extends Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>> {
    if (this.#state === 'released') return rejectLate();
    if (this.unanswered++ === 0) this.aliveAt = performance.now();
    const answer = this.#session.client.query<R>({
      query_timeout: this.#timeoutMs,
      ...toQueryConfig(statement, values, this.#deps.sending),
    } as pg.QueryConfig);
    answer.then(this.#onAnswer, this.#onError);
    return answer;
  }

  readonly #onAnswer = () => {
    this.unanswered--;
    this.aliveAt = performance.now();
  };

  readonly #onError = (error: Error) => {
    this.#onAnswer();
    // Not an error of Postgres: most likely a value that could not be sent. pg may now assume that the statement is
    // prepared; later statements on this connection would fail.
    const state = sqlState(error);
    // The server may have become a standby (25006): another connection finds the primary.
    if (state === undefined || state === '25006') this.#session.markUnusable(error);
  };
}

function rejectLate(): Promise<never> {
  return Promise.reject(new Error('the transaction is over'));
}

/** Classes 08 (connection) and 57P (the operator, a crash or a restart ended the session). */
function isEndOfSession(error: unknown): boolean {
  return /^(08|57P0[1-5])/.test(sqlState(error) ?? '');
}
