// Checks whether this process can work: the database is reachable, its schema new enough. Cached; one query at a time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { CommandError, describeError, sqlState } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { readSchemaState, schemaProblem } from '../migrations/migrate.ts';
import { findMissingRights, rightsProblem } from '../migrations/rights.ts';
import { databaseProblem } from './database-problem.ts';
import { pause } from './pause.ts';

const cacheMs = 2_000;
const questionTimeoutMs = 1_000;

/** Reads the table too: fails without the right to read, and gets no answer while another session locks the table. */
const writable = `SELECT current_setting('transaction_read_only')::bool AS "isReadOnly",
  has_table_privilege('{inbox}.webhook_events', 'INSERT') AND EXISTS (SELECT FROM {inbox}.webhook_events LIMIT 1) IS NOT NULL AS "mayWrite"`;

export function createReadiness(
  database: Database,
  isReady: () => boolean,
): () => Promise<string | undefined> {
  let answer: Promise<string | undefined> | undefined;
  let askedAt = 0;
  const ask = async () => {
    try {
      const { rows } = await database.query<{ isReadOnly: boolean; mayWrite: boolean }>({
        text: writable,
        timeoutMs: questionTimeoutMs,
      });
      if (rows[0]?.isReadOnly) return 'the database is read only';
      return rows[0]?.mayWrite ? undefined : 'webhook_events may not be written';
    } catch (error) {
      return describeError(error).text;
    }
  };
  return async () => {
    // Not cached, because it costs nothing: the platform uses a process as soon as it is ready.
    if (!isReady()) return 'starting or stopping';
    const now = performance.now();
    if (!answer || now - askedAt > cacheMs) {
      askedAt = now;
      answer = Promise.race([
        ask(),
        delay(questionTimeoutMs, 'the database did not answer in time', { ref: false }),
      ]);
    }
    return answer;
  };
}

/**
 * Waits until the database answers, or until `stopping` is aborted. Pauses at most 5 s, so that a return of the database
 * is noticed soon.
 * @throws CommandError with the remedy when it answers and its schema is too old: waiting would not fix that
 */
export async function waitForSchema(database: Database, log: Logger, stopping: AbortSignal): Promise<void> {
  for (let tries = 0; !stopping.aborted; tries++) {
    try {
      const problem = schemaProblem(await readSchemaState(database, log));
      if (problem) throw new CommandError(problem);
      return;
    } catch (error) {
      if (error instanceof CommandError) throw error;
      if (stopping.aborted) return;
      const remedy = (await rightsRemedy(database, error)) ?? databaseProblem(error)?.remedy;
      log.error({ error: describeError(error).text, remedy }, 'the database cannot be reached; trying again');
      await pause(Math.min(5_000, 500 * 2 ** tries), stopping);
    }
  }
}

/** Names the missing rights where Postgres rejected a statement for want of one. */
async function rightsRemedy(database: Database, error: unknown): Promise<string | undefined> {
  if (sqlState(error) !== '42501') return undefined;
  // The caller logs the first error; a second one would only say that the names could not be read.
  return findMissingRights(database).then(rightsProblem, () => undefined);
}
