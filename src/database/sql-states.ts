// SQLSTATE → words for the operator → the receiver's reaction, and so the provider's response: this is the only table.
import { sqlState } from '../errors.ts';

/**
 * `unavailable`: 503 with Retry-After, since the provider's own retry helps; never 4xx, 410 or 3xx, which some providers
 * take as final. `try again`: up to three times, then unavailable. `single out`: the batch is halved until the delivery
 * that meets the lock is alone, so that the others need not wait; then unavailable. `keep bytes`: the delivery is singled
 * out and stored without its JSON, answered 200; if Postgres rejects that as well, unavailable.
 */
export type Reaction = 'unavailable' | 'try again' | 'single out' | 'keep bytes';

export interface SqlStateRow {
  /** A SQLSTATE, or a class: its first two characters. */
  state: string;
  /** For the log of a receiver whose commit failed. */
  meaning: string;
  /** Default: unavailable. */
  reaction?: Exclude<Reaction, 'unavailable'>;
  /** Our own checks should have kept the value from Postgres: reported, whatever the response was. */
  isBug?: true;
  /** For a command that could not ask the database, where the cause is its address, its rights or its schema. */
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
      message: 'it refused how we connect',
      remedy:
        'is a transaction pooler (PgBouncer) in front? Set DATABASE_POOLER=true, or give the direct DATABASE_URL',
    },
  },
  { state: '53100', meaning: 'the disk is full' },
  { state: '53200', meaning: 'the database is out of memory' },
  {
    state: '53300',
    meaning: 'the database has no connection left',
    problem: { message: 'no connection is free', remedy: 'end some, or raise max_connections' },
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
  { state: '25006', meaning: 'the database is read-only' },
  { state: '25P03', meaning: 'the transaction was idle too long' },
  {
    state: '42501',
    meaning: 'we lack the right to write',
    problem: {
      message: 'the user lacks the right',
      remedy: "grant it, or connect as the tables' owner",
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
  { state: '28', meaning: 'the database refuses our credentials' },
  {
    state: '28000',
    meaning: 'the database refuses our credentials',
    problem: {
      message: 'the user may not log in that way',
      remedy: 'check the name, its rights, and whether the server wants TLS',
    },
  },
  {
    state: '28P01',
    meaning: 'the database refuses our credentials',
    problem: { message: 'the password is wrong', remedy: correctUrl },
  },
  { state: 'XX', meaning: 'the database has an internal error' },
  { state: '40001', meaning: 'another transaction got in the way', reaction: 'try again' },
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
  // ON CONFLICT handles the event's own key: this is another key, and storing other bytes would not help.
  { state: '23505', meaning: 'a key exists that no duplicate explains', isBug: true },
];

const byState = new Map(sqlStates.map((row) => [row.state, row]));

/** The row of an error's own SQLSTATE, else the row of its class; undefined for any other error. */
export function sqlStateRowOf(error: unknown): SqlStateRow | undefined {
  const state = sqlState(error) ?? '';
  return byState.get(state) ?? byState.get(state.slice(0, 2));
}
