// The only importer of pg: the pool, transactions that check their COMMIT, LISTEN.
import pg from 'pg';
import { endDeadTransactions, type OpenTransaction, type Sessions } from './dead-connections.ts';
import { CommitRolledBackError, describeError, sqlState } from './errors.ts';
import { type FailpointSite, failpoint, isArmedAt } from './failpoint.ts';
import type { Logger } from './logger.ts';

export type Row = Record<string, unknown>;
export interface QueryResult<R> {
  rows: R[];
  rowCount: number | null;
  command: string;
}

export interface Statement {
  text: string;
  values?: unknown[];
  /** Makes it a prepared statement; dropped where a transaction pooler is in front. */
  name?: string;
  /** Client-side bound; the connection is dropped when it passes. */
  timeoutMs?: number;
  /** Forces the extended protocol, in which Postgres refuses several statements in one text. */
  isExtended?: boolean;
}

/** Whatever runs statements: the pool (each its own transaction) or one open transaction. */
export interface Queryable {
  query<R extends Row = Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>>;
}

export interface Transaction extends Queryable {
  /** Resolves when BEGIN was answered: until then the connection may still be busy with the COMMIT before it. */
  begun: Promise<void>;
  /**
   * A last statement, sent in one packet with COMMIT. If it fails, Postgres rolls back and the transaction throws
   * AtCommitError: so a guard at the end has to fail (1/0) where it finds nothing to do.
   */
  atCommit(statement: Statement): void;
  /** Ends the connection at once, whatever runs on it; Postgres rolls back. */
  abandon(reason: Error): void;
}

/** A statement given to `atCommit` failed; `cause` says why. Nothing of the transaction was committed. */
export class AtCommitError extends Error {
  constructor(cause: unknown) {
    super('the last statement of the transaction failed', { cause });
    this.name = 'AtCommitError';
  }
}

/** There was no connection, or it was lost: nobody's statement was at fault. A COMMIT under way may have succeeded. */
export class ConnectionLostError extends Error {
  constructor(cause: unknown) {
    super('the connection to the database was lost', { cause });
    this.name = 'ConnectionLostError';
  }
}

export interface TransactionOptions {
  /** `SET LOCAL` settings: names and values are ours, never a caller's input. */
  settings?: Record<string, string>;
  /** Client-side bound of each statement. */
  timeoutMs?: number;
  /** Passed when COMMIT was sent and its answer not yet read. */
  commitSite?: FailpointSite;
  /** Passed when the `atCommit` statements were answered and COMMIT is not sent; they go in two packets only if it is armed. */
  beforeCommitSite?: FailpointSite;
  /**
   * Called when the last statements are on their way and COMMIT is not answered yet. A transaction with `onEnding` that
   * is begun in this call goes along: same connection, same packet. Half of the round trips, in a row of short ones.
   * Not called behind a pooler, where none can go along: it would need a connection of its own.
   */
  onEnding?: () => void;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one READ COMMITTED transaction and commits. A throw rolls back and is rethrown.
   * @throws CommitRolledBackError when Postgres answered COMMIT with ROLLBACK
   * @throws AtCommitError, ConnectionLostError
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Listens on `channel` with a connection of its own, reconnecting by itself. `onWake` gets the notification's
   * payload; undefined after a (re)connection, since anything may have been missed.
   */
  listen(channel: string, onWake: (payload: string | undefined) => void): Listener;
  /** For libraries that want a connected `pg` client (the migrator). No pipelining, no time limit. */
  withClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T>;
  /** Ends transactions whose connection died without a sign. To be called every few seconds. @returns how many */
  endDeadTransactions(): Promise<number>;
  counts(): { total: number; idle: number; waiting: number; max: number };
  close(): Promise<void>;
}

export interface Listener {
  /** True while notifications can arrive. */
  isListening(): boolean;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  maxConnections: number;
  /** A transaction pooler is in front: no prepared statements, no LISTEN. */
  pooler?: boolean;
  /** Bound of a statement outside transactions that set their own; default 6,000. */
  timeoutMs?: number;
  /** Settings of every session, e.g. time-outs; behind a pooler they become `SET LOCAL` of each transaction. */
  sessionSettings?: Record<string, string>;
  /** Heroku's own certificates are self-signed; everywhere else the URL's sslmode decides. */
  acceptSelfSigned?: boolean;
  log: Logger;
}

export function openDatabase(options: DatabaseOptions): Database {
  const { log, pooler = false, timeoutMs = 6_000, sessionSettings = {} } = options;
  const connection: pg.ClientConfig = {
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: 2_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // A start-up parameter costs no round trip, but a pooler refuses the connection for it.
    ...(pooler ? {} : startUpOptions(sessionSettings)),
    ...(options.acceptSelfSigned ? { ssl: { rejectUnauthorized: false } } : {}),
  };
  const pool = new pg.Pool({
    ...connection,
    max: options.maxConnections,
    idleTimeoutMillis: 30_000,
    query_timeout: timeoutMs,
    // One round trip for what needs no answer in between; pg sends a Sync after each statement.
    pipeline: true,
  });
  // Heard from the first moment on: while a client goes from the pool to its next user nobody else listens, and a drop
  // just then (its last answer and the end of the session in one packet) would end the process.
  const lostClients = new WeakMap<pg.PoolClient, Error>();
  pool.on('connect', (client) => client.on('error', (error) => lostClients.set(client, error)));
  // An idle connection that drops must not end the process; the pool opens a new one when asked.
  pool.on('error', (error) =>
    log.warn({ error: describeError(error).text }, 'an idle database connection was lost'),
  );

  const prepare = (statement: string | Statement, values?: unknown[]): pg.QueryConfig => {
    if (typeof statement === 'string') return { text: statement, ...(values ? { values } : {}) };
    const { text, name, timeoutMs: statementTimeoutMs } = statement;
    return {
      text,
      ...(statement.values ? { values: statement.values } : {}),
      ...(name && !pooler ? { name } : {}),
      ...(statementTimeoutMs ? { query_timeout: statementTimeoutMs } : {}),
      ...(statement.isExtended ? { queryMode: 'extended' } : {}),
    } as pg.QueryConfig;
  };

  const openTransactions = new Set<OpenTransaction>();
  // Their COMMIT leaves before the event loop goes on.
  const departing = new Set<Session>();

  const sessions: Sessions = {
    readBusy: async (processIds) => {
      const client = await pool.connect();
      try {
        const { rows } = await client.query<{ own: number; busy: number[] }>(
          `SELECT pg_backend_pid() AS own, ARRAY(SELECT pid FROM pg_stat_activity
             WHERE pid = ANY ($1) AND (state IS NULL OR state NOT LIKE 'idle%')) AS busy`,
          [processIds],
        );
        client.release();
        const { own, busy } = rows[0]!;
        return own === processIdOf(client) ? new Set(busy) : undefined;
      } catch (error) {
        client.release(error as Error);
        throw error;
      }
    },
    terminate: async (processIds) => {
      await pool.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid = ANY ($1) AND state LIKE 'idle in transaction%' AND application_name = $2`,
        [processIds, options.applicationName],
      );
    },
  };

  async function openSession(): Promise<Session> {
    const client = await pool.connect().catch((error: unknown) => {
      throw new ConnectionLostError(error);
    });
    return { client, users: 0, spoilt: undefined };
  }

  function departingSession(): Session | undefined {
    for (const session of departing) {
      departing.delete(session);
      if (!session.spoilt) return session;
    }
    return undefined;
  }

  function leaveSession(session: Session, error?: Error): void {
    const { client } = session;
    session.users--;
    session.spoilt ??= error ?? lostClients.get(client);
    if (session.users === 0) client.release(session.spoilt);
    else if (error) client.connection.stream.destroy();
  }

  async function transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    {
      settings = {},
      timeoutMs: statementTimeoutMs = timeoutMs,
      commitSite,
      beforeCommitSite,
      onEnding,
    }: TransactionOptions = {},
  ): Promise<T> {
    const session = (onEnding && departingSession()) ?? (await openSession());
    session.users++;
    const { client } = session;
    let released = false;
    let lost: Error | undefined;
    // A statement that came behind COMMIT or ROLLBACK would be executed on its own.
    let isEnding = false;
    let isCommitSent = false;
    let isCommitAnswered = false;
    const release = (error?: Error) => {
      if (released) return;
      released = true;
      lost = lostClients.get(client);
      openTransactions.delete(open);
      leaveSession(session, error);
    };
    const open: OpenTransaction = {
      processId: processIdOf(client),
      unanswered: 0,
      aliveAt: 0,
      end: () => client.connection.stream.destroy(),
    };
    openTransactions.add(open);
    const onAnswer = () => {
      open.unanswered--;
      open.aliveAt = performance.now();
    };
    const run = <R extends Row>(statement: string | Statement, values?: unknown[]) => {
      if (released) return Promise.reject<QueryResult<R>>(new Error('the transaction is over'));
      if (open.unanswered++ === 0) open.aliveAt = performance.now();
      const answer = client.query<R>({
        query_timeout: statementTimeoutMs,
        ...prepare(statement, values),
      } as pg.QueryConfig);
      answer.then(onAnswer, (error: Error) => {
        onAnswer();
        // Not Postgres's: a value that could not be sent, most likely. pg may take the statement for prepared now, which
        // would fail all that come after on this connection.
        if (sqlState(error) === undefined) session.spoilt ??= error;
      });
      return answer;
    };
    const last: Statement[] = [];
    const begun = Promise.withResolvers<void>();
    const tx: Transaction = {
      begun: begun.promise,
      query: (statement, values) =>
        isEnding ? Promise.reject(new Error('the transaction is over')) : run(statement, values),
      abandon: (reason) => {
        isEnding = true;
        release(reason);
        open.end(); // the pool alone would let the statement under way come to its end
      },
      atCommit: (statement) => {
        last.push(statement);
      },
    };
    const stream = client.connection.stream;
    try {
      // What is asked for before the event loop goes on leaves in one packet: BEGIN, the settings, the first
      // statements of `work`. A system call each costs more than the statements themselves.
      stream.cork();
      process.nextTick(() => stream.uncork());
      const beginning = [run('BEGIN ISOLATION LEVEL READ COMMITTED')];
      beginning[0]?.then(
        () => begun.resolve(),
        () => {}, // the transaction itself throws it
      );
      const local = pooler ? { ...sessionSettings, ...settings } : settings;
      const settingList = Object.entries(local).map(([key, value]) => `SET LOCAL ${key} = '${value}'`);
      if (settingList.length) beginning.push(run(settingList.join(';')));
      const [result] = await Promise.all([work(tx), ...beginning]);
      isEnding = true;
      stream.cork();
      const guards = last.map((statement) =>
        run(statement).catch((error: unknown) => {
          throw new AtCommitError(error);
        }),
      );
      if (beforeCommitSite && isArmedAt(beforeCommitSite)) {
        stream.uncork();
        await allOrFirstError(guards);
        await failpoint(beforeCommitSite);
        stream.cork();
      }
      const commit = run('COMMIT');
      isCommitSent = true;
      commit.then(
        () => (isCommitAnswered = true),
        (error: unknown) => (isCommitAnswered = sqlState(error) !== undefined && !isEndOfSession(error)),
      );
      const ending = [...guards, commit];
      if (!onEnding || pooler || (commitSite && isArmedAt(commitSite))) {
        stream.uncork();
      } else {
        departing.add(session);
        process.nextTick(() => {
          departing.delete(session);
          stream.uncork();
        });
        onEnding();
      }
      const [ended] = await Promise.all([allOrFirstError(ending), commitSite && failpoint(commitSite)]);
      const committed = ended.at(-1);
      // COMMIT of an aborted transaction answers ROLLBACK and no error.
      if (committed?.command !== 'COMMIT') throw new CommitRolledBackError();
      release();
      return result as T;
    } catch (error) {
      isEnding = true;
      if (isCommitSent) {
        // Over, one way or the other; and a ROLLBACK would hit the transaction that came behind.
        release(isCommitAnswered ? undefined : (error as Error));
      } else if (!released) {
        const rolledBack = await run({ text: 'ROLLBACK', timeoutMs: 2_000 }).then(
          () => undefined,
          (rollbackError: Error) => rollbackError,
        );
        release(rolledBack);
      }
      // Postgres ends sessions with an error of its own (57P01 …) before the connection drops.
      if (!lost && !isEndOfSession(error)) throw error;
      throw new ConnectionLostError(error instanceof AtCommitError ? error.cause : error);
    }
  }

  return {
    query: (statement, values) => pool.query(prepare(statement, values)),
    transaction,
    endDeadTransactions: () => endDeadTransactions(openTransactions, sessions),
    listen: (channel, onWake) => listen(connection, channel, onWake, log),
    withClient: async (work) => {
      const client = new pg.Client(connection);
      client.on('error', (error) =>
        log.warn({ error: describeError(error).text }, 'a database connection was lost'),
      );
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    },
    counts: () => ({
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      max: options.maxConnections,
    }),
    close: () => pool.end(),
  };
}

/** A connection out of the pool: for one transaction, and for another one behind it while its COMMIT is under way. */
interface Session {
  client: pg.PoolClient;
  users: number;
  /** Why it cannot go back into the pool. */
  spoilt: Error | undefined;
}

/** As told by BackendKeyData; missing in the types. */
function processIdOf(client: pg.PoolClient): number {
  return (client as unknown as { processID: number }).processID;
}

/** Classes 08 (connection) and 57P (the operator, a crash or a restart ended the session). */
function isEndOfSession(error: unknown): boolean {
  return /^(08|57P0[1-5])/.test(sqlState(error) ?? '');
}

/**
 * Of statements that were sent together: waits for all, so that no rejection is left unheard, then throws the first
 * error. The others are only its consequences.
 */
export async function allOrFirstError<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

function startUpOptions(settings: Record<string, string>): { options?: string } {
  const list = Object.entries(settings).map(([key, value]) => `-c ${key}=${value}`);
  return list.length ? { options: list.join(' ') } : {};
}

function listen(
  connection: pg.ClientConfig,
  channel: string,
  onWake: (payload: string | undefined) => void,
  log: Logger,
): Listener {
  let client: pg.Client | undefined;
  let isClosed = false;
  let isListening = false;
  let retry: NodeJS.Timeout | undefined;
  let check: NodeJS.Timeout | undefined;

  const connect = async () => {
    const next = new pg.Client({ ...connection, query_timeout: 5_000 });
    client = next;
    let isGone = false;
    const again = (error?: Error) => {
      if (isGone) return;
      isGone = true;
      clearInterval(check);
      if (isListening && !isClosed)
        log.warn({ error: error && describeError(error).text }, 'LISTEN lost; polling until it is back');
      isListening = false;
      next.end().catch(() => {}); // it is broken already
      if (!isClosed) retry = setTimeout(connect, 2_000);
    };
    next.on('error', again);
    next.on('end', () => again());
    next.on('notification', ({ payload }) => onWake(payload));
    try {
      await next.connect();
      await next.query(`LISTEN ${channel}`);
      isListening = true;
      onWake(undefined);
      // A half-open socket gives no sign; the query time-out finds it.
      check = setInterval(() => next.query('SELECT 1').catch(again), 10_000);
    } catch (error) {
      again(error as Error);
    }
  };
  void connect();
  return {
    isListening: () => isListening,
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      clearInterval(check);
      await client?.end().catch(() => {}); // already gone
    },
  };
}
