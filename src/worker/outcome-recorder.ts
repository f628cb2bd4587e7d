// Records what became of an event: its row, its job, the log, the metrics, its span.
import { type Database, statementError } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { readClaimable } from '../events/locks.ts';
import { createUnredactedLogger, type Logger } from '../logger.ts';
import { keyText } from '../queue/queue.ts';
import { logFieldsOf } from '../tracing.ts';
import type { Completions } from './completions.ts';
import { type FailureDeps, settleFailure } from './failure.ts';
import { claimOf, type Entry, type Outcome, type UncommittedAttempt } from './job.ts';
import type { JobBuffer } from './job-buffer.ts';
import type { AttemptEnd, WorkerObserver } from './observer.ts';
import { endAttempt } from './spans.ts';

export interface OutcomeRecorderOptions {
  database: Database;
  log: Logger;
  failures: FailureDeps;
  buffer: JobBuffer;
  completions: Completions;
  observer?: WorkerObserver | undefined;
}

/** The other kinds end no attempt. */
const endOf: Partial<Record<Outcome['kind'], AttemptEnd>> = {
  processed: 'processed',
  ignored: 'ignored',
  failed: 'failed',
  deferred: 'deferred',
};

export class OutcomeRecorder {
  readonly #options: OutcomeRecorderOptions;
  readonly #lines: Logger;

  constructor(options: OutcomeRecorderOptions) {
    this.#options = options;
    this.#lines = createUnredactedLogger(options.log);
  }

  /** Either somebody holds the row locked, or the event is no longer this job's. */
  async settleUnclaimed(entries: readonly Entry[], lastWaitMs?: number): Promise<void> {
    if (entries.length === 0) return;
    const { database, buffer } = this.#options;
    try {
      const ours = new Set((await readClaimable(database, entries.map(claimOf))).map(keyText));
      for (const entry of entries) {
        if (ours.has(entry.key)) buffer.waitForLock(entry, performance.now(), lastWaitMs);
        else this.conclude(entry, { kind: 'gone', reason: 'settled meanwhile' }, 0);
      }
    } catch (error) {
      for (const entry of entries) this.giveUp(entry, error);
    }
  }

  async settle(entry: Entry, attempt: UncommittedAttempt, startedAt = performance.now()): Promise<void> {
    try {
      const outcome = await settleFailure(entry, attempt, this.#options.failures);
      // A failure that could not be recorded is recorded before a handler runs again.
      if (outcome.kind === 'locked' && outcome.isUnrecorded) entry.unrecorded = attempt;
      this.conclude(entry, outcome, performance.now() - startedAt, statementError(attempt.error));
    } catch (error) {
      this.giveUp(entry, error);
    }
  }

  /** @param error why the attempt failed */
  conclude(entry: Entry, outcome: Outcome, ms: number, error?: unknown): void {
    const { buffer, completions } = this.#options;
    this.#report(entry, outcome, ms);
    this.#observe(entry, outcome);
    endAttempt(entry, outcome.kind, error);
    if (outcome.kind === 'locked') buffer.waitForLock(entry, performance.now());
    else if (outcome.kind !== 'untouched') {
      const finished = buffer.finish(entry);
      if (finished) completions.add(finished);
    }
  }

  #observe({ event }: Entry, { kind, isDead, releasedFor }: Outcome): void {
    const { observer } = this.#options;
    if (!observer) return;
    if (releasedFor) observer.released(releasedFor, 1);
    const end = isDead ? 'dead' : endOf[kind];
    if (end) observer.attemptEnded(event.source, end);
  }

  /** The outcome could not be recorded: the job's heartbeat ends, and another worker gets its events. */
  giveUp(entry: Entry, error: unknown): void {
    this.#options.buffer.dropJobOf(entry);
    endAttempt(entry, 'untouched');
    this.#options.log.error(
      { source: entry.event.source, eventId: entry.event.eventId, error: describeError(error).text },
      'an attempt could not be recorded; the job comes back when its heartbeat has ended',
    );
  }

  #report({ event, span }: Entry, { kind, reason, isDead, attempts }: Outcome, ms: number): void {
    const { source, eventId, topic } = event;
    const fields = { source, eventId, topic, attempt: event.failures + 1, outcome: kind, ms: Math.round(ms) };
    const line =
      reason || span ? { ...fields, ...(reason && { reason }), ...(span && logFieldsOf(span)) } : fields;
    if (kind === 'failed') this.#lines.warn(line, 'attempt');
    else this.#lines.info(line, 'attempt');
    if (isDead) this.#lines.error({ source, eventId, attempts }, 'the event is a dead letter');
  }
}
