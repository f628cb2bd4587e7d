// What becomes of an attempt that did not commit: charged, put off, or given back without a charge.
import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionLostError, statementError, type Transaction } from '../database/database.ts';
import { describeError, isLater, isPermanent, PermanentError, readLater, sqlState } from '../errors.ts';
import { clearLoneStarts, endLoneStart, givenBack } from '../events/crashes.ts';
import type { StoredEvent } from '../events/event.ts';
import { moveToJob } from '../events/jobs.ts';
import { isRowHeld, RowHeldError, rowLockTimeout } from '../events/locks.ts';
import { isClaimLost, recordFailure } from '../events/outcomes.ts';
import { failpoint } from '../failpoint.ts';
import { type ClaimedJob, type NewJob, newJobId, type Queue } from '../queue/queue.ts';
import type { Assignment, AttemptDeps, JobInHand, Outcome } from './attempt.ts';

/** Another event of its entity is still inside its transaction. */
export class BusyError extends Error {}
/** The worker stops, or lost its claim: the attempt is not the handler's failure. */
export class InterruptedError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'InterruptedError';
  }
}

/**
 * The process ends because of an exception that nobody caught, most likely a handler's. Whose, is only known of an
 * attempt that ran alone; the others are left to be found as lost.
 */
export class CrashError extends Error {
  constructor(cause: unknown) {
    super('an exception was not caught and ended the process', { cause });
    this.name = 'CrashError';
  }
}

const busyRetrySeconds = 2;
const connectionRetrySeconds = 2;
/** How long a job rests whose event's row is held: the first time, doubled each time, at most. */
const heldRetrySeconds = 2;
const heldRetryMaxSeconds = 10;
/**
 * Durable: a failure, or a job that was given back, must not be lost in a crash that keeps what came after it. And
 * bounded: a duplicate's count holds the event's row for moments, an operator may hold it for hours.
 */
const settings = { synchronous_commit: 'on', lock_timeout: rowLockTimeout };
const settleRetryMs = [250, 500, 1_000, 2_000, 4_000];
const ownRowChanged =
  "the handler changed its event's own row in webhook_events, which Postbell settles: return, or throw PermanentError or Later";

/**
 * Settles an attempt that did not commit; the effects are rolled back by now. While the database is away it tries
 * again: the job stays ours by its heartbeat, and a restart of Postgres need not wait for the heartbeat's end.
 * @throws ConnectionLostError when the database stays away
 */
export async function settleFailure(
  assignment: Assignment,
  error: unknown,
  startedAt: Date,
  deps: AttemptDeps,
): Promise<Outcome> {
  for (const waitMs of settleRetryMs) {
    try {
      return await settleOnce(assignment, error, startedAt, deps);
    } catch (settleError) {
      if (!(settleError instanceof ConnectionLostError)) throw settleError;
      await delay(waitMs);
    }
  }
  return settleOnce(assignment, error, startedAt, deps);
}

async function settleOnce(
  assignment: Assignment,
  thrown: unknown,
  startedAt: Date,
  deps: AttemptDeps,
): Promise<Outcome> {
  const { job, suspicion } = assignment;
  try {
    if (!isRowHeld(thrown)) return await settleFree(assignment, thrown, startedAt, deps);
  } catch (error) {
    if (sqlState(error) !== '55P03') throw error;
    deps.log.warn(
      { ...job.key, error: describeError(thrown).text },
      'an attempt cannot be recorded while another transaction holds its row: it is not charged, and made again later',
    );
  }
  await deps.database.transaction(
    async (tx) => {
      if (suspicion) await endLoneStart(tx, job);
      await putOffHeld(tx, [job], deps.queue);
    },
    { settings },
  );
  return { kind: 'interrupted', isJobSettled: true, reason: new RowHeldError().message };
}

/** Gives jobs back whose events' rows are held. They stay the events' jobs, since that cannot be changed now. */
export async function putOffHeld(
  tx: Transaction,
  jobs: readonly ClaimedJob[],
  queue: Pick<Queue, 'putOff'>,
): Promise<void> {
  const later = jobs.map(({ id, retryCount, timesHeld }) => ({
    id,
    retryCount,
    timesHeld: timesHeld + 1,
    afterSeconds: Math.min(heldRetryMaxSeconds, heldRetrySeconds * 2 ** timesHeld),
  }));
  await queue.putOff(tx, later);
}

async function settleFree(
  assignment: Assignment,
  thrown: unknown,
  startedAt: Date,
  deps: AttemptDeps,
): Promise<Outcome> {
  const { job, event, suspicion } = assignment;
  // If somebody else took the event, no failure will be recorded below. If it still is this job's, the transaction that
  // was rolled back took it itself: it would do so each time.
  const error = isClaimLost(thrown) ? new PermanentError(ownRowChanged) : readLater(thrown);
  if (error instanceof BusyError) return handBack(assignment, deps, busyRetrySeconds, error.message);
  if (error instanceof InterruptedError) return handBack(assignment, deps, 0, error.message);
  if (error instanceof CrashError && !suspicion) {
    // Its heartbeat ends with the process.
    return { kind: 'interrupted', isJobSettled: true, reason: error.message };
  }
  // Not the handler's fault, unless it is its statements that end the session: so it counts as put off.
  if (error instanceof ConnectionLostError && event.deferrals < deps.maxDeferrals) {
    const replacement = { afterSeconds: connectionRetrySeconds, isDeferral: true };
    return replaceJob(assignment, deps, replacement, {
      kind: 'deferred',
      reason: describeError(error.cause).text,
    });
  }
  if (isLater(error) && event.deferrals < deps.maxDeferrals) {
    // Its process has outlived it.
    const replacement = { afterSeconds: error.afterSeconds, isDeferral: true, endsStart: !!suspicion };
    const outcome = { kind: 'deferred' as const, reason: describeError(error).text };
    return replaceJob(exonerated(assignment), deps, replacement, outcome);
  }
  const { text, stack } = describeError(reasonOf(error, event));
  const isFinal = isPermanent(error);
  const hasEnded = !(error instanceof CrashError);
  const lostInCompany = suspicion && hasEnded ? givenBack(suspicion) : 0;
  const isDead = !isFinal && lostInCompany === 0 && job.retryCount >= job.retryLimit;
  const record = async (tx: Transaction) => {
    await failpoint('worker.before-fail');
    const failure = { ...event, jobId: job.id, error: text, stack, startedAt };
    // False: the event was settled by somebody else, perhaps by a COMMIT of ours whose answer was lost.
    if (!(await recordFailure(tx, failure, isFinal))) return false;
    if (suspicion && hasEnded) await endLoneStart(tx, job);
    if (isFinal) await deps.queue.completeIn(tx, job);
    else if (lostInCompany === 0) await deps.queue.fail(tx, job, text.slice(0, 500));
    else await retryWithAttemptsGivenBack(tx, assignment, lostInCompany, deps.queue);
    await failpoint('worker.after-fail');
    return true;
  };
  const isRecorded = await deps.database.transaction(record, { settings });
  if (!isRecorded) return { kind: 'settled', isJobSettled: false, reason: 'settled meanwhile' };
  return { kind: 'failed', isJobSettled: true, isDead, reason: text };
}

/** It failed like any other, so it is not what ended its process before: a job without those losses takes its place. */
async function retryWithAttemptsGivenBack(
  tx: Transaction,
  { job, event }: Assignment,
  lostInCompany: number,
  queue: Queue,
): Promise<void> {
  const jobId = newJobId();
  if (!(await queue.completeIn(tx, job))) return;
  await moveToJob(tx, event, job.id, jobId, false);
  await clearLoneStarts(tx, event);
  const { source, eventId } = event;
  const failuresLeft = job.retryLimit - job.retryCount + lostInCompany;
  await queue.enqueue(tx, [{ source, eventId, jobId, failuresLeft, afterSeconds: job.retryDelaySeconds }]);
}

/** What the operator is told. */
function reasonOf(error: unknown, event: StoredEvent): unknown {
  if (error instanceof CrashError) return error.cause;
  if (!isLater(error)) return statementError(error);
  const { message, cause } = error;
  return new Error(`put off ${event.deferrals} times (MAX_DEFERRALS): ${message}`, { cause });
}

/** The attempt was not the handler's fault: the event goes back to the queue and nothing is charged. */
export function handBack(
  assignment: JobInHand,
  deps: Pick<AttemptDeps, 'database' | 'queue'>,
  afterSeconds: number,
  reason: string,
): Promise<Outcome> {
  return replaceJob(assignment, deps, { afterSeconds, isDeferral: false }, { kind: 'interrupted', reason });
}

/** Nothing is held against it any more, and what it had lost beside others comes back. */
function exonerated({ job, event, suspicion }: JobInHand): JobInHand {
  if (!suspicion || suspicion.alone > 0) return { job, event, suspicion };
  return { job: { ...job, retryLimit: job.retryLimit + suspicion.inCompany }, event, suspicion: undefined };
}

interface Replacement {
  afterSeconds: number;
  isDeferral: boolean;
  /** The start on record has ended by itself. */
  endsStart?: boolean;
}

/** A new job at its time, with as many failures left as the old one had. */
async function replaceJob(
  { job, event, suspicion }: JobInHand,
  { database, queue }: Pick<AttemptDeps, 'database' | 'queue'>,
  { afterSeconds, isDeferral, endsStart = false }: Replacement,
  outcome: { kind: Outcome['kind']; reason: string },
): Promise<Outcome> {
  const jobId = newJobId();
  const replace = async (tx: Transaction) => {
    // The attempt is fenced: if pg-boss gave the job to another worker, it is no longer ours to replace.
    if (!(await queue.completeIn(tx, job))) return;
    if (endsStart) await endLoneStart(tx, job);
    if (!(await moveToJob(tx, event, job.id, jobId, isDeferral))) return;
    await failpoint('worker.moved');
    await queue.enqueue(tx, [jobAfter({ job, event, suspicion }, jobId, afterSeconds)]);
  };
  await database.transaction(replace, { settings });
  return { ...outcome, isJobSettled: true };
}

/** A job in the place of one that nothing was charged to: as many failures left, as much held against its event. */
export function jobAfter({ job, event, suspicion }: JobInHand, jobId: string, afterSeconds: number): NewJob {
  const failuresLeft = job.retryLimit - job.retryCount + 1;
  return { source: event.source, eventId: event.eventId, jobId, afterSeconds, failuresLeft, suspicion };
}
