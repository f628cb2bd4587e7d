// The types of a job's way through the worker.
import type { StoredEvent } from '../events/event.ts';
import type { Claim } from '../events/locks.ts';
import type { EventKey, FetchedJob, NewJob } from '../queue/queue.ts';
import type { Span } from '../tracing.ts';
import type { ReleaseReason } from './observer.ts';
import type { Plan } from './plan.ts';

/** One event of a fetched job, with its row and what has to be run. */
export interface Entry {
  /** Names the event in maps and sets. */
  key: string;
  job: FetchedJob;
  event: StoredEvent;
  plan: Plan;
  /** Set while a locked row keeps a failed attempt from being recorded: no handler runs before it is. */
  unrecorded?: UncommittedAttempt;
  /** Of the attempt that runs, where a tracer is active. */
  span?: Span | undefined;
}

/** An attempt that did not commit. */
export interface UncommittedAttempt {
  error: unknown;
  startedAt: Date;
}

/** How an attempt ended. */
export type AttemptResult =
  | { kind: 'processed' }
  | { kind: 'ignored'; reason: string }
  /** Its row is locked, finished, or another job's: no handler ran. */
  | { kind: 'unclaimed' }
  | Threw;

/** Nothing was committed. */
export interface Threw extends UncommittedAttempt {
  kind: 'threw';
}

/** What became of an event, for the log. */
export interface Outcome {
  /**
   * `released`: given back uncharged. `gone`: somebody else settled or took the event. `locked`: its row is locked, the
   * worker keeps the entry. `untouched`: nobody may touch the job, its heartbeat ends with the process.
   */
  kind: 'processed' | 'ignored' | 'failed' | 'deferred' | 'released' | 'gone' | 'locked' | 'untouched';
  reason?: string;
  /** With `released`. */
  releasedFor?: ReleaseReason;
  /** With `locked`: a failure that has to be recorded before a handler runs again. */
  isUnrecorded?: boolean;
  /** The event is a dead letter now. */
  isDead?: boolean;
  /** With `isDead`: the event's attempts, as its row counts them. */
  attempts?: number;
}

/** For a job in the place of one whose event may still end a process: as isolated as before. */
export function isolationOf({
  isIsolated,
  hasUnchargedLoss,
}: FetchedJob): Pick<NewJob, 'isIsolated' | 'hasUnchargedLoss'> {
  return isIsolated ? { isIsolated, hasUnchargedLoss } : {};
}

const maxShownKeys = 20;

/** For the watchdog: names the events that are at work. */
export function describeWork(activity: string, events: readonly EventKey[]): string {
  const names = events.slice(0, maxShownKeys).map(({ source, eventId }) => `${source} ${eventId}`);
  if (events.length > maxShownKeys) names.push(`${events.length - maxShownKeys} more`);
  return `${activity} ${names.join(', ')}`;
}

/** Names the claim of an entry in statements. */
export function claimOf({ job, event }: Entry): Claim {
  return { source: event.source, eventId: event.eventId, jobId: job.id };
}
