// What the rest of the program asks of a database, and the errors it answers with.
import type pg from 'pg';
import type { FailpointSite } from '../failpoint.ts';
import type { Logger } from '../logger.ts';

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
  /** Leaves times as the text that Postgres sends, for answers whose times nobody reads: a Date costs 1 µs. */
  timesAsText?: boolean;
}

/** Whatever runs statements: the pool (each its own transaction) or one open transaction. */
export interface Queryable {
  query<R extends Row = Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>>;
}

export interface Transaction extends Queryable {
  /**
   * Resolves when BEGIN and the settings were answered: until then the connection may still be busy with the COMMIT
   * before it. Rejects when they failed; what is sent then belongs to no transaction.
   */
  begun: Promise<void>;
  /**
   * A last statement, sent in one packet with COMMIT. If it fails, Postgres rolls back and the transaction throws
   * AtCommitError: so a guard at the end has to fail (1/0) where it finds nothing to do.
   */
  atCommit(statement: Statement): void;
  /** Begins a part that can be taken back by itself. Leaves in one packet with what is asked for next. */
  savepoint(name: string): Promise<unknown>;
  rollBackTo(name: string): Promise<unknown>;
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

/** Of a transaction that failed: the statement's own error, also where it was one of the last. */
export function statementError(error: unknown): unknown {
  return error instanceof AtCommitError ? error.cause : error;
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
  /**
   * A COMMIT that a synchronous standby did not confirm fails: for what is acknowledged to others. Without it, a wait
   * for the standby that was cancelled passes for a commit, since it is one on this server.
   */
  needsStandby?: boolean;
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
   * @throws CommitUnconfirmedError see `needsStandby`
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
  /** Bound of getting a connection, be it a new one or one of the pool; default 2,000. */
  connectTimeoutMs?: number;
  /** Settings of every session, e.g. time-outs; behind a pooler they become `SET LOCAL` of each transaction. */
  sessionSettings?: Record<string, string>;
  /** Heroku's own certificates are self-signed; everywhere else the URL's sslmode decides. */
  acceptSelfSigned?: boolean;
  log: Logger;
}
