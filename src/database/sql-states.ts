// The only table of SQLSTATEs: each with its meaning for operators and the receiver's reaction, which decides the response.
import { sqlState } from '../errors.ts';

/**
 * `unavailable`: answer 503 with Retry-After, since the provider's retry helps; never 4xx, 410 or 3xx, which are final for
 * some providers. `try again`: up to three times, then unavailable. `single out`: halve the batch until the delivery that
 * meets the lock is alone, so that the others need not wait; then unavailable. `keep bytes`: single out the delivery and
 * store it without its JSON, answer 200; if Postgres rejects the bytes as well, unavailable.
 */
export type Reaction = 'unavailable' | 'try again' | 'single out' | 'keep bytes';

export interface SqlStateRow {
  /** A SQLSTATE, or its first two characters: a class. */
  state: string;
  /** For the log of a receiver whose commit failed. */
  meaning: string;
  /** Default: unavailable. */
  reaction?: Exclude<Reaction, 'unavailable'>;
  /** Our checks should have rejected the value before Postgres: logged as a bug, in addition to the response. */
  isBug?: true;
  /** For a command whose query failed because of the address, the rights or the schema. */
  problem?: { message: string; remedy: string };
}

export const correctUrl = 'correct DATABASE_URL';
const migrate = 'run: postbell migrate';

/** A state's own row comes before that of its class. A state without a row is unavailable, too. */
export const sqlStates: readonly SqlStateRow[] = [
  { state: '08', meaning: 'the connection failed' },
  {
    state: '08P01',
    meaning: 'the connection failed',
    problem: {
      message: 'the server rejected the way of connecting',
      remedy:
        'if a transaction pooler (PgBouncer) is in front, set DATABASE_POOLER=true, or use the direct DATABASE_URL',
    },
  },
  { state: '53100', meaning: 'the disk is full' },
  { state: '53200', meaning: 'the database is out of memory' },
  {
    state: '53300',
    meaning: 'the database has no connection left',
    problem: { message: 'no connection is free', remedy: 'close some connections, or raise max_connections' },
  },
  { state: '53', meaning: 'the database lacks resources' },
  { state: '57P01', meaning: 'an operator or a shutdown ended the session' },
  { state: '57P02', meaning: 'the database crashed' },
  {
    state: '57P03',
    meaning: 'the database is starting or stopping',
    problem: { message: 'it is starting up or shutting down', remedy: 'try again in a moment' },
  },
  { state: '57014', meaning: 'the statement took too long' },
  { state: '55P03', meaning: 'a lock was held too long', reaction: 'single out' },
  {
    state: '25006',
    meaning: 'the database is read-only',
    // The connection is closed; after a failover the next one leads to the primary.
    reaction: 'try again',
    problem: { message: 'it is read only', remedy: 'set DATABASE_URL to the primary, not to a standby' },
  },
  { state: '25P03', meaning: 'the transaction was idle too long' },
  {
    state: '42501',
    meaning: 'we lack the right to write',
    problem: {
      message: 'the user lacks a right',
      remedy: 'run: postbell doctor, which names the right and the object',
    },
  },
  {
    state: '42P01',
    meaning: 'a table is missing: run postbell migrate',
    problem: { message: 'its schema is missing or too old', remedy: migrate },
  },
  {
    state: '42703',
    meaning: 'a column is missing: run postbell migrate',
    problem: { message: 'its schema is too old', remedy: migrate },
  },
  {
    state: '3F000',
    meaning: 'the schema is missing: run postbell migrate',
    problem: { message: 'its schema is missing', remedy: migrate },
  },
  {
    state: '3D000',
    meaning: 'the database is missing',
    problem: {
      message: 'there is no database of that name',
      remedy: 'create it, or correct DATABASE_URL',
    },
  },
  { state: '28', meaning: 'the database rejects our credentials' },
  {
    state: '28000',
    meaning: 'the database rejects our credentials',
    problem: {
      message: 'the user may not log in that way',
      remedy:
        'check the name and its rights; if the server requires TLS, set sslmode=verify-full in DATABASE_URL (docs/deploy.md, TLS)',
    },
  },
  {
    state: '28P01',
    meaning: 'the database rejects our credentials',
    problem: { message: 'the password is wrong', remedy: correctUrl },
  },
  { state: 'XX', meaning: 'the database has an internal error' },
  { state: '40001', meaning: 'a conflict with another transaction', reaction: 'try again' },
  { state: '40P01', meaning: 'a deadlock with another transaction', reaction: 'try again' },
  {
    state: '22',
    meaning: 'a value has a form that its column does not take',
    reaction: 'keep bytes',
    isBug: true,
  },
  { state: '54', meaning: 'a value is too large or too deep', reaction: 'keep bytes', isBug: true },
  { state: '23502', meaning: 'a value is missing', reaction: 'keep bytes', isBug: true },
  { state: '23514', meaning: 'a value breaks a CHECK', reaction: 'keep bytes', isBug: true },
  // ON CONFLICT handles the event's key; a violation of another key remains after storing the bytes alone.
  { state: '23505', meaning: 'a unique key exists, and it is not the event id', isBug: true },
];

const byState = new Map(sqlStates.map((row) => [row.state, row]));

/** The row of the error's SQLSTATE, else of its class; undefined if neither has a row. */
export function sqlStateRowOf(error: unknown): SqlStateRow | undefined {
  const state = sqlState(error) ?? '';
  return byState.get(state) ?? byState.get(state.slice(0, 2));
}
