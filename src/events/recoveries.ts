// recoveries: how far each source was recovered, and its last run. All times are the database's.
import type { Queryable } from '../database/database.ts';

/** Why a run did not get to its end. */
export type RecoverFailure =
  /** The provider does not accept the key. */
  | 'key_refused'
  /** Another refusal of the request, or a redirect. */
  | 'request_refused'
  /** No answer, or only errors of the server. */
  | 'unavailable'
  /** The answer is not the one of the provider's API. */
  | 'unexpected_answer'
  /** Events that the provider was asked to send again. */
  | 'not_arrived'
  /** Postbell itself could not go on, e.g. for its database. */
  | 'internal';

/** A row of `recoveries`. */
export interface Recovery {
  source: string;
  recoveredUntil: Date | null;
  runSince: Date | null;
  runUntil: Date | null;
  runCursor: string | null;
  /** When a run last took a page. */
  cursorAt: Date | null;
  feedCursor: string | null;
  startedAt: Date;
  endedAt: Date | null;
  pages: number;
  recovered: number;
  known: number;
  asked: number;
  lastError: string | null;
  /** Start of the first run that failed since the last success; null while runs succeed. */
  failingSince: Date | null;
  /** Null while runs succeed. */
  failure: RecoverFailure | null;
  /** Number of the last runs that read as many pages as they may, and found nothing new. */
  emptyParts: number;
  /** Events that were asked for again and again within the last 30 days, and never arrived. */
  givenUp: number;
}

/** What a run has done so far. */
export interface RunCounts {
  /** Pages that were read. */
  pages: number;
  /** Events that came in. */
  recovered: number;
  /** Events that were in the inbox already. */
  known: number;
  /** Deliveries that the provider was asked to send again. */
  asked: number;
}

const columns = `source, recovered_until AS "recoveredUntil", run_since AS "runSince", run_until AS "runUntil",
  run_cursor AS "runCursor", cursor_at AS "cursorAt", feed_cursor AS "feedCursor", started_at AS "startedAt", ended_at AS "endedAt", pages, recovered, known, asked,
  last_error AS "lastError", failing_since AS "failingSince", failure, empty_parts AS "emptyParts",
  (SELECT count(*)::int FROM {inbox}.recovery_requests q WHERE q.source = recoveries.source AND given_up_at IS NOT NULL) AS "givenUp"`;

/** By source. */
export async function listRecoveries(database: Queryable): Promise<Recovery[]> {
  const { rows } = await database.query<Recovery & Record<string, unknown>>(
    `SELECT ${columns} FROM {inbox}.recoveries ORDER BY source`,
  );
  return rows;
}

export async function readRecovery(
  database: Queryable,
  source: string,
): Promise<{ now: Date; recovery: Recovery | undefined }> {
  const { rows } = await database.query<Recovery & { now: Date } & Record<string, unknown>>(
    `SELECT now() AS now, ${columns} FROM (SELECT 1) AS one LEFT JOIN {inbox}.recoveries ON source = $1`,
    [source],
  );
  const { now, ...recovery } = rows[0]!;
  return { now, recovery: recovery.source === null ? undefined : recovery };
}

/** The stretch that a run asks for. */
export interface Stretch {
  since: Date;
  until: Date;
}

/**
 * A run begins, or goes on at `cursor`.
 * @param run.isAll the provider has nothing from before `since`
 */
export async function recordRunStart(
  database: Queryable,
  source: string,
  run: Stretch & { cursor: string | null; isAll: boolean },
): Promise<void> {
  const { since, until, cursor, isAll } = run;
  await database.query(
    `INSERT INTO {inbox}.recoveries AS r (source, run_since, run_until, run_cursor, started_at)
     VALUES ($1, $2::timestamptz, $3, $4, now())
     ON CONFLICT (source) DO UPDATE SET run_since = $2, run_until = $3, run_cursor = $4, started_at = now(),
       ended_at = NULL, pages = 0, recovered = 0, known = 0, asked = 0,
       -- An unfinished run that this one replaces may have begun earlier: its beginning must not be forgotten.
       recovered_until = greatest(coalesce(r.recovered_until, CASE WHEN r.run_since < $2 THEN r.run_since END),
         CASE WHEN $5 THEN $2::timestamptz END)`,
    [source, since, until, cursor, isAll],
  );
}

/**
 * The events of every page before `cursor` are committed.
 * @param position.feedCursor the same for a feed, kept beyond the run; undefined: as it was
 */
export async function recordPage(
  database: Queryable,
  source: string,
  { pages, recovered, known, asked }: RunCounts,
  position: { cursor: string | undefined; feedCursor: string | undefined },
): Promise<void> {
  const { cursor, feedCursor } = position;
  await database.query(
    `UPDATE {inbox}.recoveries SET run_cursor = $2, cursor_at = now(), pages = $3, recovered = $4, known = $5, asked = $6,
       feed_cursor = coalesce($7, feed_cursor)
     WHERE source = $1`,
    [source, cursor ?? null, pages, recovered, known, asked, feedCursor ?? null],
  );
}

export type RunEnd =
  /** The whole stretch was asked for. */
  | { kind: 'complete' }
  /** The same, but events have not arrived that the provider was asked to send again: `recovery_requests` keeps them. */
  | { kind: 'not arrived'; error: string }
  /**
   * The run has read as many pages as it may.
   * @property emptyParts as `Recovery.emptyParts`, this run included
   * @property isEndless the list may have no end, since emptyParts is too high: the run counts as failed, and an alert reports the failure
   */
  | { kind: 'in parts'; emptyParts: number; isEndless: boolean }
  | { kind: 'interrupted' }
  /** @property keepsCursor false: the next run starts its stretch anew */
  | { kind: 'failed'; error: string; failure: RecoverFailure; keepsCursor: boolean };

export async function recordRunEnd(
  database: Queryable,
  source: string,
  { pages, recovered, known, asked }: RunCounts,
  end: RunEnd,
): Promise<void> {
  const { error, failure } = failureOf(end);
  const keepsCursor = end.kind !== 'failed' || end.keepsCursor;
  const isComplete = end.kind === 'complete' || end.kind === 'not arrived';
  const isSuccess = failure === null && end.kind !== 'interrupted';
  const emptyParts = end.kind === 'in parts' ? end.emptyParts : isComplete ? 0 : null;
  await database.query(
    `UPDATE {inbox}.recoveries SET ended_at = now(), last_error = $6, pages = $2, recovered = $3, known = $4, asked = $5,
       failing_since = CASE WHEN $10 THEN NULL WHEN $9::text IS NULL THEN failing_since
         ELSE coalesce(failing_since, started_at) END,
       failure = CASE WHEN $10 THEN NULL WHEN $9 IS NULL OR (failure = 'key_refused' AND $9 = 'unavailable') THEN failure
         ELSE $9 END,
       -- A stretch that begins later leaves a gap, which the next run has to ask for.
       recovered_until = CASE WHEN $7 AND (recovered_until IS NULL OR run_since <= recovered_until)
         THEN greatest(recovered_until, run_until) ELSE recovered_until END,
       run_since = CASE WHEN $7 THEN NULL ELSE run_since END,
       run_until = CASE WHEN $7 THEN NULL ELSE run_until END,
       run_cursor = CASE WHEN $7 OR NOT $8 THEN NULL ELSE run_cursor END,
       feed_cursor = CASE WHEN $8 THEN feed_cursor END,
       empty_parts = coalesce($11, empty_parts)
     WHERE source = $1`,
    [
      ...[source, pages, recovered, known, asked, error],
      ...[isComplete, keepsCursor, failure, isSuccess, emptyParts],
    ],
  );
}

function failureOf(end: RunEnd): { error: string | null; failure: RecoverFailure | null } {
  if (end.kind === 'failed') return end;
  if (end.kind === 'not arrived') return { error: end.error, failure: 'not_arrived' };
  if (end.kind === 'in parts' && end.isEndless)
    return {
      error: `the last ${end.emptyParts} runs read all pages that a run may read, without one new event: the list may have no end`,
      failure: 'unexpected_answer',
    };
  return { error: null, failure: null };
}
