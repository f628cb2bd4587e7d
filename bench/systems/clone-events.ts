// Fills Postbell's tables with copies of the one event, and its job, that the real receiver stored.
import type { Query } from '../machine/postgres.ts';
import { type CopyStatement, copyRows } from './copy-rows.ts';

const perStatement = 25_000;

/** What must differ from copy to copy; the other columns are the real event's. */
const eventColumns = {
  event_id: `'evt_' || substr(md5('event' || n), 1, 24)`,
  job_id: `md5('job' || n)::uuid`,
  body_sha256: `sha256(int8send(n))`,
};
const jobColumns = {
  id: `md5('job' || n)::uuid`,
  data: `jsonb_build_object('events', jsonb_build_array(jsonb_build_array('stripe', 'evt_' || substr(md5('event' || n), 1, 24))))`,
};

/** Some time ago, and each at its own: of 25,000 of one moment the reconciler would have to sort all for each page. */
const arrivals = { received_at: `now() - interval '10 minutes' + n * interval '1 microsecond'` };

/** A finished event: its job is gone, pg-boss deletes completed ones after an hour. */
const finishedColumns = {
  ...eventColumns,
  ...arrivals,
  status: `'PROCESSED'`,
  processed_at: 'now()',
  attempts: '1',
};

export async function clonePending(query: Query, count: number, from = 1): Promise<void> {
  await clone(query, await pendingStatements(query), count, from);
}

export async function cloneFinished(query: Query, count: number, from = 1): Promise<void> {
  await clone(query, [await copyRows(query, 'webhook_events', finishedColumns)], count, from);
}

/** @param parsesJson as the receiver does it: the payload is read from JSON text again, and arrives now */
export async function pendingStatements(query: Query, parsesJson = false): Promise<CopyStatement[]> {
  const own = parsesJson ? { payload: '(pattern.payload::text)::jsonb' } : arrivals;
  return [
    await copyRows(query, 'webhook_events', { ...eventColumns, ...own }),
    await copyRows(query, 'pgboss.job', jobColumns),
  ];
}

async function clone(
  query: Query,
  statements: readonly CopyStatement[],
  count: number,
  first: number,
): Promise<void> {
  await query('SET synchronous_commit = off');
  for (let from = first; from < first + count; from += perStatement) {
    const to = Math.min(from + perStatement, first + count) - 1;
    for (const statement of statements) await query(statement(from, to));
  }
  await query('RESET synchronous_commit');
}
