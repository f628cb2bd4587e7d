// The receiver's reaction to an error of its transaction, by the table of SQLSTATEs.
import { type Reaction, sqlStateRowOf } from '../database/sql-states.ts';
import { sqlState } from '../errors.ts';

export interface CommitError {
  reaction: Reaction;
  /** For the operator's log. */
  meaning: string;
  isBug?: true;
}

/** @param error of Postgres, or of the connection to it */
export function diagnoseCommitError(error: unknown): CommitError {
  // A session that was ended is a lost connection, whose cause says why.
  const cause = sqlState(error) === undefined && error instanceof Error ? error.cause : error;
  const { meaning, reaction, isBug } = sqlStateRowOf(cause) ?? { meaning: 'the commit failed' };
  return { reaction: reaction ?? 'unavailable', meaning, ...(isBug && { isBug }) };
}
