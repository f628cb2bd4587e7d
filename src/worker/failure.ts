// What becomes of an attempt that did not commit: charged, deferred, or released uncharged.
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionLostError, statementError } from '../database/database.ts';
import { describeError, isLater, isPermanent, PermanentError, readLater } from '../errors.ts';
import { isRowLocked, readClaimable } from '../events/locks.ts';
import { isClaimLost } from '../events/outcomes.ts';
import { type Release, type ReleaseDeps, releaseEvents } from '../events/release.ts';
import { failuresOfLoss } from '../queue/queue.ts';
import { CrashError, EntityBusyError, InterruptedError } from './attempt-errors.ts';
import { claimOf, type Entry, isolationOf, type Outcome, type UncommittedAttempt } from './job.ts';

/** How often an event is tried, and when. */
export interface FailureLimits {
  /** As MAX_ATTEMPTS. */
  maxAttempts: number;
  /** As RETRY_DELAY_SECONDS. */
  retryDelaySeconds: number;
  /** As RETRY_DELAY_MAX_SECONDS. */
  retryDelayMaxSeconds: number;
  /** As MAX_DEFERRALS. */
  maxDeferrals: number;
}

export interface FailureDeps extends ReleaseDeps, FailureLimits {}

const entityBusySeconds = 2;
const connectionLostSeconds = 2;
const settleRetryMs = [250, 500, 1_000, 2_000, 4_000];
const ownRowChanged =
  "the handler changed its event's own row in webhook_events, which Postbell settles: return, or throw PermanentError or Later";

/**
 * Settles an attempt that did not commit; its effects are rolled back by now. While the database is away it tries
 * again: the heartbeat keeps the job, and a restart of Postgres need not wait for the heartbeat's end.
 * @throws ConnectionLostError when the database stays away
 */
export async function settleFailure(
  entry: Entry,
  attempt: UncommittedAttempt,
  deps: FailureDeps,
): Promise<Outcome> {
  for (const waitMs of settleRetryMs) {
    try {
      return await settleOnce(entry, attempt, deps);
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      await delay(waitMs);
    }
  }
  return settleOnce(entry, attempt, deps);
}

async function settleOnce(entry: Entry, attempt: UncommittedAttempt, deps: FailureDeps): Promise<Outcome> {
  const { error } = attempt;
  if (isRowLocked(error)) return { kind: 'locked', reason: 'its row is locked by another session' };
  // The heartbeat ends with the process, and whoever fetches the job next runs each of its events alone.
  if (error instanceof CrashError && !entry.job.isIsolated)
    return { kind: 'untouched', reason: error.message };
  const { release, outcome } = decide(entry, attempt, deps);
  const [released] = await releaseEvents(deps, [release]);
  if (released) return outcome.isDead ? { ...outcome, attempts: released.attempts } : outcome;
  const isStillOurs = (await readClaimable(deps.database, [claimOf(entry)])).length > 0;
  return isStillOurs
    ? { kind: 'locked', isUnrecorded: true, reason: 'its row is locked by another session' }
    : { kind: 'gone', reason: 'settled meanwhile' };
}

/** Where the event goes next. No I/O. */
export function decide(
  { job, event }: Entry,
  { error: thrown, startedAt }: UncommittedAttempt,
  deps: FailureLimits,
): { release: Release; outcome: Outcome } {
  const leave = (rest: Omit<Release, 'events' | 'fromJobId'>): Release => ({
    events: [event],
    fromJobId: job.id,
    ...rest,
  });
  const isolation = isolationOf(job);
  // If the row still is this job's, the transaction that was rolled back took the claim itself; it would each time.
  const error = isClaimLost(thrown) ? new PermanentError(ownRowChanged) : readLater(thrown);
  if (error instanceof EntityBusyError) {
    return {
      release: leave({ to: { ...isolation, afterSeconds: entityBusySeconds } }),
      outcome: { kind: 'released', releasedFor: 'entity_busy', reason: error.message },
    };
  }
  if (error instanceof InterruptedError) {
    return {
      release: leave({ to: isolation }),
      outcome: { kind: 'released', releasedFor: 'interrupted', reason: error.message },
    };
  }
  if (event.deferrals < deps.maxDeferrals) {
    // A lost connection is not the handler's fault, unless its statements end the session: so it counts as deferred.
    const defer = (afterSeconds: number, reason: unknown) => ({
      release: leave({ to: { afterSeconds }, isDeferral: true }),
      outcome: { kind: 'deferred' as const, reason: describeError(reason).text },
    });
    if (isLater(error)) return defer(error.afterSeconds, error);
    if (error instanceof ConnectionLostError) return defer(connectionLostSeconds, error.cause);
  }
  const { text, stack } = describeError(reasonOf(error, event.deferrals));
  const isCrash = error instanceof CrashError;
  const failures = isCrash ? failuresOfLoss(job) : 1;
  const isDead = isPermanent(error) || event.failures + failures >= deps.maxAttempts;
  const afterSeconds = nextDelaySeconds(event.failures + failures - 1, deps);
  return {
    release: leave({
      to: isDead ? 'failed' : { ...(isCrash ? { isIsolated: true } : {}), afterSeconds },
      failure: { error: text, stack, startedAt },
      failures,
    }),
    outcome: { kind: 'failed', isDead, reason: text },
  };
}

/** Back-off: 60 s gives 1-2, 2-4, 4-8, 8-16 minutes. At random within each, so that a burst of failures spreads. */
export function nextDelaySeconds(
  failuresBefore: number,
  {
    retryDelaySeconds,
    retryDelayMaxSeconds,
  }: Pick<FailureLimits, 'retryDelaySeconds' | 'retryDelayMaxSeconds'>,
): number {
  const least = Math.max(1, retryDelaySeconds) * 2 ** Math.min(16, failuresBefore);
  return Math.ceil(Math.min(retryDelayMaxSeconds, least * (1 + Math.random())));
}

/** The error that the operator reads. */
function reasonOf(error: unknown, deferrals: number): unknown {
  if (error instanceof CrashError) return error.cause;
  if (!isLater(error)) return statementError(error);
  const { message, cause } = error;
  return new Error(`deferred ${deferrals} times (MAX_DEFERRALS): ${message}`, { cause });
}
