// Ends a handler whose time is up, or whose worker stops, although JavaScript cannot be interrupted.
import type { Transaction } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { AttemptDeps } from './attempt.ts';

class HandlerTimeoutError extends Error {
  constructor(timeoutMs: number, subject: string) {
    super(`${subject} ran longer than ${timeoutMs / 1_000} s (HANDLER_TIMEOUT_SECONDS)`);
    this.name = 'HandlerTimeoutError';
  }
}
/** How long a handler may take to react to its signal before its connection is ended under it. */
const abortGraceMs = 500;

/**
 * Runs `work` until the time-out, or until the worker has to stop. JavaScript cannot be interrupted: a handler that
 * ignores its signal loses its connection, so that nothing it does afterwards can be committed.
 * @param subject names the work in errors and in the log
 */
export async function withinTime<T>(
  transaction: Pick<Transaction, 'begun' | 'abandon'>,
  { timeoutMs, spentMs = 0, log }: Pick<AttemptDeps, 'timeoutMs' | 'spentMs' | 'log'>,
  stop: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  subject = 'the handler',
): Promise<T> {
  // If BEGIN failed, each statement of the handler would commit by itself: no handler starts before BEGIN is answered.
  await transaction.begun;
  if (stop.aborted) throw stop.reason;
  const controller = new AbortController();
  const onTimeout = () => controller.abort(new HandlerTimeoutError(timeoutMs, subject));
  const timer = setTimeout(onTimeout, timeoutMs - spentMs);
  const onStop = () => controller.abort(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  let grace: NodeJS.Timeout | undefined;
  const running = work(controller.signal);
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener(
      'abort',
      () => {
        grace = setTimeout(() => {
          transaction.abandon(controller.signal.reason);
          running.then(
            () => log.error(`${subject} returned after its time was up; nothing of it was committed`),
            (error) =>
              log.debug({ error: describeError(error).text }, `${subject} ended after its time was up`),
          );
          reject(controller.signal.reason);
        }, abortGraceMs);
      },
      { once: true },
    );
  });
  try {
    const result = await Promise.race([running, aborted]);
    // It returned although its time was up: what it left half-done because of the signal must not be committed.
    if (controller.signal.aborted) throw controller.signal.reason;
    return result;
  } catch (error) {
    // Whatever it threw because of the signal, the signal is the cause.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    stop.removeEventListener('abort', onStop);
  }
}
