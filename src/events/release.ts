// The only way out of a job but PROCESSED and IGNORED: events move to new jobs, or are FAILED, in one durable commit.
import type { Database, Queryable, TransactionOptions } from '../database/database.ts';
import { failpoint } from '../failpoint.ts';
import { wakeWorkersAtCommit } from '../queue/notify.ts';
import { type EventKey, failuresOfLoss, keyText, type NewJob, newJobId, type Queue } from '../queue/queue.ts';
import { isDue, readStoredEvents } from './event.ts';
import {
  type DepartedEvent,
  type Departure,
  departFromJobs,
  type FailureRecord,
  lossRecord,
} from './jobs.ts';
import { readClaimable } from './locks.ts';

export interface ReleaseDeps {
  database: Database;
  queue: Pick<Queue, 'enqueue'>;
  /** As MAX_ATTEMPTS. */
  maxAttempts: number;
}

/** Events that leave one job together. */
export interface Release {
  events: readonly EventKey[];
  fromJobId: string;
  /**
   * How the new job is enqueued; `failed`: no job, the events are dead letters. Releases with the same `jobId` share the
   * new job; default: a job of their own.
   */
  to: (Omit<NewJob, 'jobId' | 'events' | 'retryLimit'> & { jobId?: string }) | 'failed';
  /** Counts as deferred by `Later`. */
  isDeferral?: boolean;
  /** Counts as a failure. */
  failure?: FailureRecord;
  /** With `failure`: see `Departure`. */
  failures?: number;
}

/**
 * Releases events, each only while its row is PENDING and bears the job. Never waits for a locked row: its event stays.
 * @param completeOld takes the old jobs out of the queue, in the same transaction. Not called while a locked row keeps an
 *   event with its job: that job's heartbeat ends, and the next worker that gets the job releases the rest
 * @returns the events that left
 */
export async function releaseEvents(
  deps: ReleaseDeps,
  releases: readonly Release[],
  completeOld?: (tx: Queryable) => Promise<unknown>,
): Promise<DepartedEvent[]> {
  return deps.database.transaction((tx) => releaseIn(tx, deps, releases, completeOld), durable);
}

/** A release must not be lost: the events are in their new jobs only. */
export const durable: TransactionOptions = { settings: { synchronous_commit: 'on' } };

/** `releaseEvents` in a `durable` transaction of the caller, which is for releases only. */
export async function releaseIn(
  tx: Queryable,
  { queue, maxAttempts }: Omit<ReleaseDeps, 'database'>,
  releases: readonly Release[],
  completeOld?: (tx: Queryable) => Promise<unknown>,
): Promise<DepartedEvent[]> {
  const departures = releases.flatMap(departuresOf);
  const isFailure = releases.some(({ failure }) => failure !== undefined);
  if (isFailure) await failpoint('worker.before-fail');
  const departed = await departFromJobs(tx, departures);
  await failpoint('worker.moved');
  const jobs = jobsFor(departures, departed, maxAttempts);
  await queue.enqueue(tx, jobs);
  if (jobs.some(isForWorkers)) await wakeWorkersAtCommit(tx);
  if (completeOld && !(await anyStays(tx, departures))) await completeOld(tx);
  if (isFailure) await failpoint('worker.after-fail');
  return departed;
}

/** Workers can fetch the job now. */
function isForWorkers({ afterSeconds, pauseIds }: NewJob): boolean {
  return !afterSeconds && !pauseIds;
}

/** Whether a row still bears its old job, because others hold the row locked. */
async function anyStays(tx: Queryable, departures: readonly Departure[]): Promise<boolean> {
  const claims = departures.map(({ source, eventId, fromJobId }) => ({ source, eventId, jobId: fromJobId }));
  return (await readClaimable(tx, claims)).length > 0;
}

type Planned = Departure & { job: Omit<NewJob, 'events'> | undefined };

function departuresOf({
  events,
  fromJobId,
  to,
  isDeferral = false,
  failure,
  failures = 1,
}: Release): Planned[] {
  // An event that only changes its job has waited in the old one.
  const hasRun = isDeferral || failure !== undefined;
  const job = to === 'failed' ? undefined : { jobId: newJobId(hasRun ? undefined : fromJobId), ...to };
  return events.map((key) => ({
    ...key,
    fromJobId,
    toJobId: job?.jobId ?? null,
    isDeferral,
    ...(failure ? { failure, failures } : {}),
    job,
  }));
}

/** Jobs that lost all of their events to locks or to others are left out. */
function jobsFor(
  departures: readonly Planned[],
  departed: readonly DepartedEvent[],
  maxAttempts: number,
): NewJob[] {
  const failures = new Map(departed.map((event) => [keyText(event), event.failures]));
  const jobs = new Map<string, NewJob & { events: EventKey[] }>();
  for (const { job, source, eventId } of departures) {
    const count = failures.get(keyText({ source, eventId }));
    if (!job || count === undefined) continue;
    const known = jobs.get(job.jobId);
    if (known) known.events.push({ source, eventId });
    else {
      // pg-boss gives up an isolated job when its loss leaves the event no failure.
      const retryLimit = job.isIsolated
        ? { retryLimit: Math.max(0, maxAttempts - failuresOfLoss(job) - count) }
        : {};
      jobs.set(job.jobId, { ...job, ...retryLimit, events: [{ source, eventId }] });
    }
  }
  return [...jobs.values()];
}

/**
 * Splits a job that was lost with its worker: any of its events may be the cause, so each runs alone next, uncharged.
 * @param completeOld see `releaseEvents`
 */
export function splitLostJob(
  deps: ReleaseDeps,
  { id, events }: { id: string; events: readonly EventKey[] },
  completeOld: (tx: Queryable) => Promise<unknown>,
): Promise<EventKey[]> {
  const releases = events.map((event) => ({
    events: [event],
    fromJobId: id,
    to: { isIsolated: true, hasUnchargedLoss: true },
  }));
  return releaseEvents(deps, releases, completeOld);
}

/** An event whose loss was charged, as its row is now. */
export interface ChargedEvent extends DepartedEvent {
  /** It is a dead letter now. */
  isDead: boolean;
}

/**
 * Charges the event of an isolated job that was lost with its worker, where nothing else ran. FAILED where no failure is
 * left; else another isolated job.
 * @param afterSeconds the pause before that job, by the event's failures before this one; default: none
 * @param completeOld see `releaseEvents`
 * @returns the events that were charged; an event whose row is locked is left out
 */
export async function chargeLoss(
  deps: ReleaseDeps,
  job: { id: string; events: readonly EventKey[]; hasUnchargedLoss: boolean },
  completeOld: (tx: Queryable) => Promise<unknown>,
  afterSeconds: (failuresBefore: number) => number = () => 0,
): Promise<ChargedEvent[]> {
  const count = failuresOfLoss(job);
  const due = (await readStoredEvents(deps.database, job.events)).filter((event) => isDue(event, job));
  const isDead = ({ failures }: { failures: number }) => failures >= deps.maxAttempts;
  const releases = due.map(({ source, eventId, failures: before }) => {
    const failures = before + count;
    return {
      events: [{ source, eventId }],
      fromJobId: job.id,
      to: isDead({ failures })
        ? ('failed' as const)
        : { isIsolated: true, afterSeconds: afterSeconds(failures - 1) },
      failure: lossRecord,
      failures: count,
    };
  });
  const charged = await releaseEvents(deps, releases, completeOld);
  return charged.map((event) => ({ ...event, isDead: isDead(event) }));
}
