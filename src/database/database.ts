// The interface of a database for the rest of the program, and its errors.
import type pg from 'pg';
import type { FailpointSite } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { QueryResult, Row } from './rows.ts';
import type { Schemas } from './schemas.ts';

export type { QueryResult, Row };

export interface Statement {
  /** With placeholders for the schemas, see `createFillIn`. */
  text: string;
  values?: unknown[];
  /** The text is a handler's or a library's, and is sent as it is. */
  isVerbatim?: boolean;
  /** Name of a prepared statement; ignored behind a transaction pooler. */
  name?: string;
  /** Client-side limit; the connection is dropped when the statement exceeds it. */
  timeoutMs?: number;
  /** Forces the extended protocol, in which Postgres rejects several statements in one text. */
  isExtended?: boolean;
  /** Keeps times as Postgres' text, for results whose times are not read: making a Date costs 1 µs. */
  timesAsText?: boolean;
  /** `array`: each row is a list of values in the order of the columns; two columns may then bear one name. */
  rowMode?: 'array';
  /** Parsers of values by type, instead of pg's own. */
  types?: pg.CustomTypesConfig;
}

/** Runs statements: the pool (each in its own transaction) or one open transaction. */
export interface Queryable {
  query<R extends Row = Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>>;
}

export interface Transaction extends Queryable {
  /**
   * Resolves when BEGIN and the settings are answered. Rejects when they fail; statements sent after that belong to no
   * transaction.
   */
  begun: Promise<void>;
  /**
   * Adds a last statement, sent in one packet with COMMIT. If the statement fails, Postgres rolls back and the transaction
   * throws AtCommitError: therefore a guard must fail (1/0) if it finds no row.
   */
  atCommit(statement: Statement): void;
  /** Starts a part that can be rolled back alone. Sent in one packet with the next statement. */
  savepoint(name: string): Promise<unknown>;
  rollBackTo(name: string): Promise<unknown>;
  /** Closes the connection at once, even while a statement runs; Postgres rolls back. */
  abandon(reason: Error): void;
}

/** A statement given to `atCommit` failed; see `cause`. Postgres rolled the transaction back. */
export class AtCommitError extends Error {
  constructor(cause: unknown) {
    super('the last statement of the transaction failed', { cause });
    this.name = 'AtCommitError';
  }
}

/** The error of the statement that made a transaction fail: unwraps AtCommitError. */
export function statementError(error: unknown): unknown {
  return error instanceof AtCommitError ? error.cause : error;
}

/** No connection could be opened, or it was lost: no statement caused it. A COMMIT in flight may have succeeded. */
export class ConnectionLostError extends Error {
  constructor(cause: unknown) {
    super('the connection to the database was lost', { cause });
    this.name = 'ConnectionLostError';
  }
}

export interface TransactionOptions {
  /** `SET LOCAL` settings. Not escaped: names and values must be constants of our code. */
  settings?: Record<string, string>;
  /** Client-side limit of each statement. */
  timeoutMs?: number;
  /**
   * `work` waits for the team's code, or for something else than this transaction's statements. Without this option
   * Postgres ends the session after 4 s without a statement: the network may have lost the connection, and its locks would hold up others.
   */
  mayBeIdle?: boolean;
  /**
   * A COMMIT that a synchronous standby did not confirm fails. For events that are acknowledged to a provider. Without
   * this option such a COMMIT succeeds, since the transaction is committed on this server.
   */
  needsStandby?: boolean;
  /** Failpoint after COMMIT was sent, before its answer is read. */
  commitSite?: FailpointSite;
  /** Failpoint after the `atCommit` statements were answered, before COMMIT is sent. Only if armed are there two packets. */
  beforeCommitSite?: FailpointSite;
}

export interface Database extends Queryable {
  /** The schemas that the placeholders of its statements stand for. */
  readonly schemas: Schemas;
  /**
   * Runs `work` in one READ COMMITTED transaction and commits. A throw rolls back and is rethrown.
   * @throws CommitRolledBackError when Postgres answered COMMIT with ROLLBACK
   * @throws CommitUnconfirmedError see `needsStandby`
   * @throws AtCommitError, ConnectionLostError
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Listens on `channel` (placeholders are filled in) with a separate connection and opens it again after a loss. `onWake` gets the notification's
   * payload; undefined after each (re)connection, since notifications may have been missed.
   */
  listen(channel: string, onWake: (payload: string | undefined) => void): Listener;
  /** For libraries that need a connected `pg` client (the migrator). No pipelining, no time limit. */
  withClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T>;
  /**
   * Runs `work` while a connection of its own holds the lock `name` (placeholders are filled in), which one session of the
   * cluster can hold. @returns undefined, without running it, where another session holds the lock
   */
  withLock<T>(name: string, work: (lock: HeldLock) => Promise<T>): Promise<{ result: T } | undefined>;
  /** Ends transactions whose connection was lost without an error. Call it every few seconds. @returns their number */
  endDeadTransactions(): Promise<number>;
  counts(): { total: number; idle: number; waiting: number; max: number };
  /**
   * Connections of the pool that were lost since the start. A crash of Postgres ends all connections. So if the number at the
   * answer to a COMMIT equals the number at the start of a later transaction's `work`, Postgres has not crashed in between,
   * and the COMMIT stands, even an asynchronous one. Behind a pooler, whose connections outlive Postgres, this does not hold.
   */
  lostConnections(): number;
  close(): Promise<void>;
}

export interface HeldLock {
  /** Aborted when the connection is lost: another session may hold the lock by then. */
  signal: AbortSignal;
  /** @throws ConnectionLostError where the connection, and so the lock, was lost */
  check(): Promise<void>;
}

export interface Listener {
  /** True while notifications can arrive. */
  isListening(): boolean;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** Shown in pg_stat_activity, see `applicationNameIn`. */
  applicationName: string;
  /** Default: `public` and `pgboss`. */
  schemas?: Schemas;
  maxConnections: number;
  /** A transaction pooler is in front: no prepared statements, no LISTEN. */
  pooler?: boolean;
  /** Limit of each statement, unless a transaction sets another; default 6,000. */
  timeoutMs?: number;
  /** Limit of getting a connection, a new one or one of the pool; default 2,000. */
  connectTimeoutMs?: number;
  /** Settings of every session, e.g. time-outs; behind a pooler they become `SET LOCAL` of each transaction. */
  sessionSettings?: Record<string, string>;
  /** Heroku's own certificates are self-signed; everywhere else the URL's sslmode decides. */
  acceptSelfSigned?: boolean;
  log: Logger;
}
