// The queue as the rest of the program sees it: jobs that name events, and what can be done with them.
import type { Queryable } from '../database/database.ts';
import type { RetryPolicy } from './policy.ts';
import { timeOrderedUuid } from './time-ordered-uuid.ts';

/** What a job says: which event. Everything else is read from the event's row, which is the truth. */
export interface EventKey {
  source: string;
  eventId: string;
}

/** What is held against an event: attempts whose process ended before they did. */
export interface Suspicion {
  /** Lost while the process had other events in hand, too: any of them may have been the cause. */
  inCompany: number;
  /** Lost while nothing else ran: the event was the cause. */
  alone: number;
}

export interface NewJob extends EventKey {
  jobId: string;
  afterSeconds?: number;
  /** Failures that this job may still have; default: all of MAX_ATTEMPTS. */
  failuresLeft?: number;
  /** Makes it run alone. */
  suspicion?: Suspicion | undefined;
}

/** A job in hand. `id` and `retryCount` name the attempt: once it was lost, settling it does nothing. */
export interface ClaimedJob {
  id: string;
  /** Attempts before this one that failed or were lost. */
  retryCount: number;
  retryLimit: number;
  /** Base of its back-off. */
  retryDelaySeconds: number;
  key: EventKey;
  /** Carried over from the job before it. */
  suspicion: Suspicion | undefined;
  /** How often it was put off because its event's row was held. */
  timesHeld: number;
}

export interface DeadJob {
  id: string;
  retryCount: number;
  key: EventKey;
  suspicion: Suspicion | undefined;
  /** The job that failed for good. */
  jobId: string | null;
  /** Its attempts, as pg-boss counted them. */
  attempts: number;
  /** pg-boss's own words, e.g. that the heartbeat stopped. */
  output: string;
}

export interface Queue {
  /** Inserts jobs in the transaction `tx`. @throws when one was not inserted: an event without a job must not be. */
  enqueue(tx: Queryable, newJobs: readonly NewJob[]): Promise<void>;
  /** Takes back jobs that `enqueue` inserted in the same transaction. @throws when one was not there */
  withdraw(tx: Queryable, newJobs: readonly Pick<NewJob, 'jobId'>[]): Promise<void>;
  /** Claims jobs that are due. The claim is durable: a crash of Postgres must not give a running job out again. */
  fetch(limit: number): Promise<ClaimedJob[]>;
  /**
   * Gives the same jobs back in `tx`, uncharged and without a write to their events' rows. They are due after the time
   * of each. Nothing of them may still run; one whose claim was lost is left alone.
   */
  putOff(
    tx: Queryable,
    jobs: readonly (Attempt & { afterSeconds: number; timesHeld: number })[],
  ): Promise<void>;
  /**
   * Takes jobs of settled events out of the queue; one whose claim was lost stays. They are deleted: the event's row is
   * the record, and a completed job would be written once more, indexed three times and deleted an hour later.
   */
  complete(claimed: readonly Attempt[]): Promise<void>;
  /** Charges a failure in `tx`: a retry with back-off, or, when none is left, the dead-letter queue. False if the claim was lost. */
  fail(tx: Queryable, claimed: Attempt, reason: string): Promise<boolean>;
  /** Completes in `tx`; false if the claim was lost. */
  completeIn(tx: Queryable, claimed: Attempt): Promise<boolean>;
  /** The same for many. @returns how many claims were not lost */
  completeManyIn(tx: Queryable, claimed: readonly Attempt[]): Promise<number>;
  /** Tells that these are still being worked on. */
  touch(claimed: readonly Attempt[]): Promise<void>;
  fetchDead(limit: number): Promise<DeadJob[]>;
  completeDead(tx: Queryable, dead: readonly Attempt[]): Promise<void>;
  /** Gives a dead job back: it comes again after a few seconds. */
  putOffDead(dead: Attempt): Promise<void>;
  /** Creates or updates both queues to the retry policy. */
  applyPolicy(policy: RetryPolicy): Promise<void>;
  /** Which of these jobs are still to be run, or wait in the dead-letter queue for their verdict. */
  livingJobs(jobIds: readonly string[]): Promise<Set<string>>;
  stop(): Promise<void>;
}

/** An attempt at a job. */
export type Attempt = Pick<ClaimedJob, 'id' | 'retryCount'>;

/** In order of time: at random places in a million jobs, each would write a page of the primary key of its own. */
export function newJobId(): string {
  return timeOrderedUuid();
}
