// Runs one job through the worker's own executor, without its fetch loop: for tests of what an attempt does.
import type { Test } from 'tap';
import type { Database } from '../../src/database/database.ts';
import type { Handler } from '../../src/handlers/handler.ts';
import type { FetchedJob, Queue } from '../../src/queue/queue.ts';
import { Completions } from '../../src/worker/completions.ts';
import { readEntries } from '../../src/worker/entries.ts';
import { Executor } from '../../src/worker/executor.ts';
import type { Outcome } from '../../src/worker/job.ts';
import { JobBuffer } from '../../src/worker/job-buffer.ts';
import { OutcomeRecorder } from '../../src/worker/outcome-recorder.ts';
import { Pauses } from '../../src/worker/pauses.ts';
import { Timings } from '../../src/worker/timings.ts';
import { Wakeup } from '../../src/worker/wakeup.ts';
import { startWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts';
import { atEnd } from './at-end.ts';
import { eventRows, type Inbox, testPolicy } from './inbox.ts';

export interface AttemptOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
  maxDeferrals?: number;
  maxAttempts?: number;
  concurrency?: number;
}

/** As the worker's settings, with short delays. */
export const workerDefaults = {
  maxAttempts: testPolicy.MAX_ATTEMPTS,
  retryDelaySeconds: 60,
  retryDelayMaxSeconds: 3_600,
  maxDeferrals: 100,
  timeoutMs: 60_000,
  concurrency: 1,
};

/** A worker that ends with `t`. Nothing but a call reads the pauses again. */
export function startWorkerOn(
  t: Test,
  inbox: Inbox,
  handlers: readonly Handler[],
  options: Partial<Pick<WorkerOptions, 'concurrency' | 'timeoutMs' | 'heartbeatMs' | 'maxAttempts'>> = {},
): Worker {
  const worker = startWorker({
    ...workerDefaults,
    ...inbox,
    handlers: () => handlers,
    heartbeatMs: 30_000,
    pollMs: 100,
    ...options,
  });
  atEnd(t, () => worker.stop(1_000));
  return worker;
}

/** Takes one job that is due. */
export async function takeJob({ queue }: Pick<Inbox, 'queue'>): Promise<FetchedJob> {
  const [job] = await queue.fetch(1);
  if (!job) throw new Error('there is no job to be taken');
  return job;
}

export interface Ran {
  /** Of each event in the order in which they ended, as the worker's log has them. */
  outcomes: (Pick<Outcome, 'kind' | 'reason'> & { eventId: string; isDead: boolean })[];
  buffer: JobBuffer;
}

/** Runs jobs as the worker does, completion included. */
export async function runJobs(
  inbox: Pick<Inbox, 'log' | 'logs'> & { database: Database; queue: Queue },
  jobs: readonly FetchedJob[],
  handlers: readonly Handler[],
  { signal = new AbortController().signal, ...options }: AttemptOptions = {},
): Promise<Ran> {
  const settings = { ...workerDefaults, ...options, ...inbox };
  const buffer = new JobBuffer();
  const completions = new Completions(inbox);
  const recorder = new OutcomeRecorder({ ...inbox, failures: settings, buffer, completions });
  const executor = new Executor({
    attempts: { ...settings, timings: new Timings(), stopping: new AbortController().signal, signal },
    failures: settings,
    buffer,
    completions,
    outcomes: recorder,
    pauses: new Pauses(inbox.database, () => handlers),
    concurrency: settings.concurrency,
    watchdog: undefined,
    wakeup: new Wakeup(),
  });
  const seen = inbox.logs.length;
  for (const [job, entries] of await readEntries(inbox.database, jobs, handlers)) {
    if (entries.length === 0) completions.add(job);
    else buffer.hold(job, entries);
  }
  executor.pump();
  while (executor.busySlots() > 0) await executor.drained();
  await completions.drain();
  const lines = inbox.logs.slice(seen);
  const dead = new Set(
    lines.filter(({ msg }) => msg === 'the event is a dead letter').map((line) => line.eventId),
  );
  const outcomes = lines
    .filter(({ msg }) => msg === 'attempt')
    .map(({ eventId, outcome, reason }) => ({
      eventId: String(eventId),
      kind: outcome as Outcome['kind'],
      ...(reason === undefined ? {} : { reason: String(reason) }),
      isDead: dead.has(eventId),
    }));
  return { outcomes, buffer };
}

/** The same with one job of one event. `gone` where its event was not due any more. */
export async function runJob(
  inbox: Parameters<typeof runJobs>[0],
  job: FetchedJob,
  handlers: readonly Handler[],
  options?: AttemptOptions,
): Promise<Pick<Ran['outcomes'][number], 'kind' | 'reason' | 'isDead'>> {
  const { outcomes } = await runJobs(inbox, [job], handlers, options);
  return outcomes.at(-1) ?? { kind: 'gone', isDead: false };
}

/** Takes one job and runs it; the job that it left for later is due at once. */
export async function runNext(inbox: Inbox, handlers: readonly Handler[], options?: AttemptOptions) {
  const outcome = await runJob(inbox, await takeJob(inbox), handlers, options);
  await makeDue(inbox);
  return outcome;
}

/** The worker of these jobs dies: its heartbeat ends, and pg-boss's supervisor notices. */
export async function loseJobs({ sql }: Pick<Inbox, 'sql'>): Promise<void> {
  await sql(`UPDATE pgboss.job SET state = 'retry', heartbeat_on = NULL,
    start_after = now() - interval '1 second' WHERE state = 'active'`);
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

/** The jobs of all states but completed ones whose list has the event. */
export async function openJobsOf(
  { sql }: Pick<Inbox, 'sql'>,
  { source, eventId }: { source: string; eventId: string },
): Promise<Record<string, unknown>[]> {
  return sql(
    `SELECT name, id, state::text, priority, retry_count, retry_limit, jsonb_array_length(data->'events') AS events,
       extract(epoch FROM start_after - now())::float AS in_seconds
     FROM pgboss.job
     WHERE data->'events' @> jsonb_build_array(jsonb_build_array($1::text, $2::text)) AND state <> 'completed'
     ORDER BY created_on, name`,
    [source, eventId],
  );
}
