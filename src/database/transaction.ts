// One transaction on a session: its statements, its end, and whether Postgres committed it.
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
import { allOrFirstError, toQueryConfig } from './statements.ts';

/** What all transactions of one database share. */
export interface TransactionDeps {
  sessions: SessionPool;
  /** Behind a pooler nothing is prepared, no transaction goes along, and the settings of a session are local. */
  pooler: boolean;
  /** `SET LOCAL` in each. */
  settings: Record<string, string>;
  /** Bound of a statement where the options have none. */
  timeoutMs: number;
  /** Those that run, for the watch over dead connections. */
  open: Set<OpenTransaction>;
}

export async function runTransaction<T>(
  deps: TransactionDeps,
  work: (tx: Transaction) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const { sessions } = deps;
  const session = (options.onEnding && sessions.takeDeparting()) ?? (await sessions.open());
  const transaction = new PgTransaction(session, deps, options);
  try {
    const beginning = transaction.begin();
    const [result] = await Promise.all([work(transaction), ...beginning]);
    await transaction.commit();
    return result as T;
  } catch (error) {
    await transaction.endAfter(error);
    // Postgres ends sessions with an error of its own (57P01 …) before the connection drops.
    if (!transaction.isConnectionLost && !isEndOfSession(error)) throw error;
    throw new ConnectionLostError(statementError(error));
  }
}

/**
 * `ending`: the last statements are on their way, and one of the caller's that came behind them would be executed on
 * its own. `released`: the session is given back, and may be another transaction's.
 */
type State = 'open' | 'ending' | 'commit sent' | 'commit answered' | 'released';

class PgTransaction implements Transaction, OpenTransaction {
  readonly processId: number;
  unanswered = 0;
  aliveAt = 0;
  begun: Promise<void> = Promise.resolve();
  /** The connection had dropped by the time it was given back. */
  isConnectionLost = false;
  readonly #session: Session;
  readonly #deps: TransactionDeps;
  readonly #options: TransactionOptions;
  readonly #timeoutMs: number;
  readonly #last: Statement[] = [];
  #state: State = 'open';
  /** SQLSTATE of the warning that came with COMMIT. */
  #warning: string | undefined;

  constructor(session: Session, deps: TransactionDeps, options: TransactionOptions) {
    session.join();
    this.#session = session;
    this.#deps = deps;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? deps.timeoutMs;
    this.processId = processIdOf(session.client);
    deps.open.add(this);
  }

  query<R extends Row = Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>> {
    return this.#state === 'open' ? this.#run<R>(statement, values) : refuseLate();
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
    this.end(); // the pool alone would let the statement under way come to its end
  }

  end(): void {
    this.#session.end();
  }

  /** To be called once, before any statement. @returns its statements under way */
  begin(): Promise<unknown>[] {
    this.#sendTogether(); // with the first statements of `work`
    const beginning: Promise<unknown>[] = [this.#run('BEGIN ISOLATION LEVEL READ COMMITTED')];
    const settings = Object.entries({ ...this.#deps.settings, ...this.#options.settings });
    if (settings.length > 0)
      beginning.push(this.#run(settings.map(([key, value]) => `SET LOCAL ${key} = '${value}'`).join(';')));
    this.begun = Promise.all(beginning).then(() => {});
    this.begun.catch(() => {}); // the transaction itself throws it
    return beginning;
  }

  async commit(): Promise<void> {
    const { commitSite, beforeCommitSite, onEnding } = this.#options;
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
    if (!onEnding || this.#deps.pooler || (commitSite && isArmedAt(commitSite))) {
      stream.uncork();
    } else {
      this.#deps.sessions.depart(this.#session);
      onEnding();
    }
    const [ended] = await Promise.all([allOrFirstError(ending), commitSite && failpoint(commitSite)]);
    // COMMIT of an aborted transaction answers ROLLBACK and no error.
    if (ended.at(-1)?.command !== 'COMMIT') throw new CommitRolledBackError();
    if (this.#warning) throw new CommitUnconfirmedError(this.#warning);
    this.#release();
  }

  /** Rolls back what is not committed, and gives the session back. Never throws. */
  async endAfter(error: unknown): Promise<void> {
    if (this.#state === 'commit sent' || this.#state === 'commit answered') {
      // Over, one way or the other; and a ROLLBACK would hit the transaction that came behind.
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
   * What is asked for before the event loop goes on leaves in one packet: a system call each costs more than the
   * statements themselves.
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

  /** By SQLSTATE, since the text is localised. What was sent before was answered before, so it is of COMMIT. */
  #watchForWarning(commit: Promise<unknown>): void {
    const { client } = this.#session;
    const onNotice = ({ code = '' }: { code?: string | undefined }) => {
      if (/^(01|57P01$)/.test(code)) this.#warning ??= code;
    };
    client.on('notice', onNotice);
    const stop = () => client.off('notice', onNotice);
    commit.then(stop, stop);
  }

  /** An abandoned transaction stays released, whatever is still answered. */
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
    if (this.#state === 'released') return refuseLate();
    if (this.unanswered++ === 0) this.aliveAt = performance.now();
    const answer = this.#session.client.query<R>({
      query_timeout: this.#timeoutMs,
      ...toQueryConfig(statement, values, this.#deps.pooler),
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
    // Not Postgres's: a value that could not be sent, most likely. pg may take the statement for prepared now, which
    // would fail all that come after on this connection.
    if (sqlState(error) === undefined) this.#session.spoil(error);
  };
}

function refuseLate(): Promise<never> {
  return Promise.reject(new Error('the transaction is over'));
}

/** Classes 08 (connection) and 57P (the operator, a crash or a restart ended the session). */
function isEndOfSession(error: unknown): boolean {
  return /^(08|57P0[1-5])/.test(sqlState(error) ?? '');
}
