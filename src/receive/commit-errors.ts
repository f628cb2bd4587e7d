// SQLSTATE → what the receiver does about it, and so what the provider is answered: this is the one table.
import { sqlState } from '../errors.ts';

/**
 * `unavailable`: 503 with Retry-After, since the provider's own retry is what mends it; never 4xx, 410 or 3xx, which
 * some providers take for the end. `try again`: up to three times, then unavailable. `single out`: the batch is halved
 * until the delivery that meets the lock is alone, so that it keeps no other one waiting; unavailable is its answer then. `keep bytes`: the delivery is singled
 * out of its batch and stored without its JSON, answered 200; if even that is refused, unavailable.
 */
export type Reaction = 'unavailable' | 'try again' | 'single out' | 'keep bytes';

export interface SqlAnswer {
  /** A SQLSTATE, or a class: its first two characters. */
  state: string;
  reaction: Reaction;
  /** For the operator's log. */
  meaning: string;
  /** Our own checks should have kept it from Postgres: to be reported, whatever the answer was. */
  isBug?: true;
}

const unavailable = (state: string, meaning: string): SqlAnswer => ({
  state,
  reaction: 'unavailable',
  meaning,
});
const tryAgain = (state: string, meaning: string): SqlAnswer => ({ state, reaction: 'try again', meaning });
const keepBytes = (state: string, meaning: string): SqlAnswer => ({
  state,
  reaction: 'keep bytes',
  meaning,
  isBug: true,
});

/** A state stands for itself before its class does. What is not here is unavailable, too. */
export const sqlAnswers: readonly SqlAnswer[] = [
  unavailable('08', 'the connection failed'),
  unavailable('53100', 'the disk is full'),
  unavailable('53200', 'the database is out of memory'),
  unavailable('53300', 'the database has no connection left'),
  unavailable('53', 'the database lacks resources'),
  unavailable('57P01', 'an operator or a shutdown ended the session'),
  unavailable('57P02', 'the database crashed'),
  unavailable('57P03', 'the database is starting or stopping'),
  unavailable('57014', 'the statement took too long'),
  { state: '55P03', reaction: 'single out', meaning: 'a lock was held too long' },
  unavailable('25006', 'the database is read-only'),
  unavailable('25P03', 'the transaction was idle too long'),
  unavailable('42501', 'we lack the right to write'),
  unavailable('42P01', 'a table is missing: run postbell migrate'),
  unavailable('28', 'the database refuses our credentials'),
  unavailable('XX', 'the database has an internal error'),
  tryAgain('40001', 'another transaction got in the way'),
  tryAgain('40P01', 'a deadlock with another transaction'),
  keepBytes('22', 'a value is of no form that its column takes'),
  keepBytes('54', 'a value is too large or too deep'),
  keepBytes('23502', 'a value is missing'),
  keepBytes('23514', 'a value breaks a CHECK'),
  // ON CONFLICT settles the event's own key: this is another one, and storing other bytes would not help.
  { ...unavailable('23505', 'a key exists that no duplicate explains'), isBug: true },
];

const byState = new Map(sqlAnswers.map((answer) => [answer.state, answer]));
const other = unavailable('', 'the commit failed');

/** What to do about an error of a receiver's transaction, be it Postgres's or of the way there. */
export function sqlAnswerTo(error: unknown): SqlAnswer {
  // A session that was ended is a lost connection, whose cause says why.
  const state = sqlState(error) ?? (error instanceof Error ? sqlState(error.cause) : undefined) ?? '';
  return byState.get(state) ?? byState.get(state.slice(0, 2)) ?? other;
}
