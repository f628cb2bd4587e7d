// One attempt at a time, without the worker's loop: for tests of what an attempt does.

import { markLoneStart, readSuspicions } from '../../src/events/crashes.ts';
import { readEvents } from '../../src/events/event.ts';
import type { Handler } from '../../src/handlers/handler.ts';
import type { ClaimedJob } from '../../src/queue/queue.ts';
import { type AttemptDeps, assign, type Outcome, runAttempt } from '../../src/worker/attempt.ts';
import { trackPace } from '../../src/worker/timings.ts';
import { eventRows, type Inbox } from './inbox.ts';

export interface AttemptOptions extends Partial<Pick<AttemptDeps, 'timeoutMs' | 'maxDeferrals'>> {
  signal?: AbortSignal;
}

/** Takes one job that is due. */
export async function takeJob({ queue }: Pick<Inbox, 'queue'>): Promise<ClaimedJob> {
  const [job] = await queue.fetch(1);
  if (!job) throw new Error('there is no job to be taken');
  return job;
}

/** Runs the job as the worker does, completion included. */
export async function runJob(
  inbox: Inbox,
  job: ClaimedJob,
  handlers: readonly Handler[],
  { signal = new AbortController().signal, timeoutMs = 60_000, maxDeferrals = 100 }: AttemptOptions = {},
): Promise<Outcome> {
  const [event] = await readEvents(inbox.database, [job.key]);
  const examined = { id: job.id, key: job.key, ended: job.retryCount, suspicion: job.suspicion };
  const suspicion = (await readSuspicions(inbox.database, [examined])).get(job.id);
  if (suspicion) await markLoneStart(inbox.database, job);
  const deps = { ...inbox, timeoutMs, maxDeferrals, pace: trackPace() };
  const outcome = await runAttempt(assign(job, event!, handlers, suspicion), deps, signal);
  if (!outcome.isJobSettled) await inbox.queue.complete([job]);
  return outcome;
}

/** Takes one job and runs it; what it left for later is due at once. */
export async function runNext(
  inbox: Inbox,
  handlers: readonly Handler[],
  options?: AttemptOptions,
): Promise<Outcome> {
  const outcome = await runJob(inbox, await takeJob(inbox), handlers, options);
  await makeDue(inbox);
  return outcome;
}

/** The job's process ends before the attempt does: pg-boss counts it, and nobody records anything. */
export async function loseJob(inbox: Inbox, job: ClaimedJob): Promise<void> {
  await inbox.database.transaction((tx) => inbox.queue.fail(tx, job, 'job heartbeat timeout'));
  await makeDue(inbox);
}

/** Every job that waits for its time is due now. */
export async function makeDue({ sql }: Pick<Inbox, 'sql'>): Promise<void> {
  await sql(`UPDATE pgboss.job SET start_after = now() - interval '1 second' WHERE state < 'active'`);
}

/** The event's row as it is now. */
export async function rowOf(
  inbox: Pick<Inbox, 'sql'>,
  event: { source: string; eventId: string },
): Promise<Record<string, unknown>> {
  const [row] = await eventRows(inbox, [event]);
  if (!row) throw new Error(`there is no row of ${event.source} ${event.eventId}`);
  return row;
}

/** The event's failures, oldest first. */
export async function failuresOf(
  { sql }: Pick<Inbox, 'sql'>,
  { source, eventId }: { source: string; eventId: string },
): Promise<Record<string, unknown>[]> {
  return sql('SELECT * FROM failed_attempts WHERE source = $1 AND event_id = $2 ORDER BY id', [
    source,
    eventId,
  ]);
}

/** Its jobs of all states but completed ones. */
export async function openJobsOf(
  { sql }: Pick<Inbox, 'sql'>,
  { source, eventId }: { source: string; eventId: string },
): Promise<Record<string, unknown>[]> {
  return sql(
    `SELECT name, id, state::text, retry_count, retry_limit,
       extract(epoch FROM start_after - now())::float AS in_seconds
     FROM pgboss.job WHERE data @> jsonb_build_object('source', $1::text, 'eventId', $2::text) AND state <> 'completed'
     ORDER BY created_on, name`,
    [source, eventId],
  );
}
