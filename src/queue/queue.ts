// The queue as the rest of the program sees it: jobs that name events, and the calls on them.
import type { Queryable } from '../database/database.ts';
import type { RetryPolicy } from './policy.ts';
import { timeOfUuid, timeOrderedUuid } from './time-ordered-uuid.ts';

/** Names one event. Everything else is read from the event's row, which is the truth. */
export interface EventKey {
  source: string;
  eventId: string;
}

/** One text per event, for maps and sets. */
export function keyText({ source, eventId }: EventKey): string {
  return `${source}/${eventId}`;
}

/** Events that one job carries at most: a job's row costs Postgres as much as an event's. */
export const maxEventsPerJob = 16;

export interface NewJob {
  jobId: string;
  /** 1 to 16, in the order in which they are to be run. */
  events: readonly EventKey[];
  /** Default 0. */
  afterSeconds?: number;
  /** Jobs of a higher priority are fetched first; default 0. */
  priority?: number;
  /** Losses that pg-boss answers with a retry before the job becomes a dead letter; default: the queue's. */
  retryLimit?: number;
  /** For one event that was lost with its worker: a worker runs the job while it runs nothing else. */
  isIsolated?: boolean;
  /**
   * With `isIsolated`: the event was lost once beside others, which is not charged yet. If it is lost alone, too, both
   * losses were its own.
   */
  hasUnchargedLoss?: boolean;
  /** The events wait for the end of these pauses: no worker fetches the job. Default: none. */
  pauseIds?: readonly number[];
  /** The events wait for a lane of the handler with this name, and run one at a time. Default: none. */
  lane?: string;
}

/** A job whose events wait for the end of a pause. */
export interface PausedJob {
  id: string;
  events: readonly EventKey[];
  /** The event was in an isolated job, and has to be in one again. */
  isIsolated: boolean;
  /** As in `NewJob`. */
  hasUnchargedLoss: boolean;
  /** As text with microseconds. */
  createdAt: string;
}

/** One fetch of a job. `id` and `retryCount` name the fetch: after the job was lost, calls on it do nothing. */
export interface FetchedJob {
  id: string;
  /** How often the job was lost with its worker before this fetch. */
  retryCount: number;
  isIsolated: boolean;
  /** As in `NewJob`. */
  hasUnchargedLoss: boolean;
  /**
   * As in `NewJob`. A worker that has the job holds one lane of that handler. Empty: the job has left its lane.
   */
  lane?: string | undefined;
  /** Empty where somebody else inserted the job and its data names no event. */
  events: readonly EventKey[];
  /** `Database.lostConnections` before the fetch. */
  lostBefore: number;
}

/** A copy that pg-boss put into the dead-letter queue. */
export interface DeadJob {
  id: string;
  retryCount: number;
  events: readonly EventKey[];
  /** The job that was lost for good; null where somebody else inserted the copy. */
  jobId: string | null;
  /** The lost job was an isolated one. */
  isIsolated: boolean;
  /** As in `NewJob`. */
  hasUnchargedLoss: boolean;
}

/** How many failures it is for the event of an isolated job to be lost with its worker, or to end the worker. */
export function failuresOfLoss({ hasUnchargedLoss = false }: Pick<NewJob, 'hasUnchargedLoss'>): number {
  return hasUnchargedLoss ? 2 : 1;
}

export interface Queue {
  /** Inserts jobs in the transaction `tx`. @throws when a job was not inserted: an event without a job must not be */
  enqueue(tx: Queryable, newJobs: readonly NewJob[]): Promise<void>;
  /** Deletes jobs that `enqueue` inserted in the same transaction. @throws when a job was not there */
  withdraw(tx: Queryable, jobIds: readonly string[]): Promise<void>;
  /** Takes up to `limit` jobs. The claim survives a crash of Postgres (`synchronous_commit=local`). */
  fetch(limit: number): Promise<FetchedJob[]>;
  /** The same for one isolated job. */
  fetchIsolated(): Promise<FetchedJob | undefined>;
  /**
   * Takes up to `limit` jobs of handlers with `concurrency`, no more of a handler than its lanes that are free in the whole
   * cluster. A job holds its lane until the job is completed, or lost with its worker.
   * @param lanes the lanes of each handler by its name. Jobs of other names are taken without a limit
   * @returns undefined: another worker counts the lanes at this moment
   */
  fetchLimited(lanes: ReadonlyMap<string, number>, limit: number): Promise<FetchedJob[] | undefined>;
  /** A lane for an isolated job that was fetched. @returns false: none is free, or another worker counts them */
  takeLane(job: FetchedJob, name: string, lanes: number): Promise<boolean>;
  /** The jobs hold no lane any more, but stay with their worker. */
  leaveLanes(fetched: readonly FetchedJob[]): Promise<void>;
  /** Whether an isolated job is due. Takes nothing. */
  hasIsolated(): Promise<boolean>;
  /**
   * Deletes jobs whose events have all left them, in `tx`; a job whose claim was lost stays. The event's row is the record:
   * a completed job would be written once more, indexed three times and deleted an hour later.
   * @returns the number of deleted jobs
   */
  complete(tx: Queryable, fetched: readonly FetchedJob[]): Promise<number>;
  /** Tells pg-boss that the worker of these jobs is alive. */
  touch(fetched: readonly FetchedJob[]): Promise<void>;
  fetchDead(limit: number): Promise<DeadJob[]>;
  completeDead(tx: Queryable, dead: readonly DeadJob[]): Promise<void>;
  /** Creates the queues, or updates them to the retry policy. */
  applyPolicy(policy: RetryPolicy): Promise<void>;
  /** Which of these jobs are still to be run, wait for the end of a pause, or wait in the dead-letter queue. */
  livingJobs(jobIds: readonly string[]): Promise<Set<string>>;
  /**
   * Locks paused jobs that none of these pauses holds, oldest first; those that others hold locked are skipped.
   * @param after the last job of the page before
   */
  lockResumed(
    tx: Queryable,
    pauseIds: readonly number[],
    after: Pick<PausedJob, 'id' | 'createdAt'> | undefined,
    limit: number,
  ): Promise<PausedJob[]>;
  /** Deletes paused jobs whose events have all left them, in the transaction that locked the jobs. */
  completePaused(tx: Queryable, jobIds: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Time-ordered: random ids would dirty one index page per job. The time says since when the job's events could run: alerts
 * about waiting events read it.
 * @param predecessorId the job in which the events have waited: its time stays. A job that somebody else inserted has no time in its id: the time is now
 */
export function newJobId(predecessorId?: string): string {
  return timeOrderedUuid(predecessorId === undefined ? undefined : timeOfUuid(predecessorId));
}

/**
 * Cuts events of one commit into jobs: at most 16 jobs as long as 16 events in each suffice. So a few events spread
 * over all workers, and a burst costs Postgres one job row per 16 events.
 */
export function toJobs<E extends EventKey>(
  events: readonly E[],
  options: Omit<NewJob, 'jobId' | 'events'> = {},
): (NewJob & { events: readonly E[] })[] {
  const size = Math.min(maxEventsPerJob, Math.ceil(events.length / jobsPerCommit));
  const jobs: (NewJob & { events: readonly E[] })[] = [];
  for (let at = 0; at < events.length; at += size)
    jobs.push({ jobId: newJobId(), events: events.slice(at, at + size), ...options });
  return jobs;
}

const jobsPerCommit = 16;
