// SIGTERM and SIGINT: take no new work, finish what is in flight, be gone before the platform kills.
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export interface ShutdownOptions {
  log: Logger;
  /** As SHUTDOWN_TIMEOUT_SECONDS: then the process exits whatever still hangs. */
  timeoutMs: number;
  /**
   * In this order; each is waited for, and a failing one does not keep the next from running.
   * `crash` is the exception that nobody caught, if it is one that ends the process.
   */
  phases: (crash: unknown) => readonly { name: string; run: () => Promise<unknown> }[];
  /** A rejection nobody handles: in a worker most likely a handler's forgotten await, which must not end it. */
  survivesRejections?: boolean;
}

/** When the time is up the process is gone, and does not only begin to go. */
const exitReserveMs = 1_000;

/** Platforms may send the signal more than once; the second does nothing, the timer does. */
export function exitGracefully({
  log,
  timeoutMs,
  phases,
  survivesRejections = false,
}: ShutdownOptions): void {
  let isStopping = false;
  const stop = async (exitCode: number, crash?: unknown) => {
    if (isStopping) return;
    isStopping = true;
    const hardExitMs = Math.max(timeoutMs / 2, timeoutMs - exitReserveMs);
    setTimeout(() => {
      log.error({ timeoutMs }, 'the shutdown took too long: exiting hard; unfinished jobs are retried');
      process.exit(1);
    }, hardExitMs).unref();
    for (const { name, run } of phases(crash)) {
      try {
        await run();
      } catch (error) {
        log.error({ phase: name, error: describeError(error).text }, 'a phase of the shutdown failed');
      }
    }
    log.info('stopped');
    log.flush();
    process.exit(exitCode);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping');
      void stop(0);
    });
  }
  process.on('unhandledRejection', (reason) => {
    log.error({ error: describeError(reason).text }, 'a promise was rejected and nobody handled it');
    if (!survivesRejections) void stop(1);
  });
  process.on('uncaughtException', (error) => {
    const { text, stack } = describeError(error);
    log.fatal({ error: text, stack }, 'an exception was not caught: the process cannot be trusted any more');
    void stop(1, error ?? new Error('nothing was thrown'));
  });
}
