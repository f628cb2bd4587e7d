// SIGTERM and SIGINT: accept no new work, finish the work in flight, exit before the platform kills the process.
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** A step of an end. */
export interface Phase {
  name: string;
  run: () => Promise<unknown>;
}

export interface ShutdownOptions {
  log: Logger;
  /** As SHUTDOWN_TIMEOUT_SECONDS: the process exits shortly before, even if a phase hangs. */
  timeoutMs: number;
  /** For `runPhases`. @param crash the uncaught exception that ends the process; undefined after a signal */
  phases: (crash: unknown) => readonly Phase[];
  /** True: an unhandled rejection does not end the process. In a worker it is most likely a handler's forgotten await. */
  survivesRejections?: boolean;
}

/** The process exits this long before the platform's limit. */
const exitReserveMs = 1_000;

/** Platforms may send the signal more than once: only the first has an effect. */
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
    await runPhases(phases(crash), log);
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
    log.error({ error: describeError(reason).text }, 'a promise was rejected and no code handled it');
    if (!survivesRejections) void stop(1);
  });
  process.on('uncaughtException', (error) => {
    const { text, stack } = describeError(error);
    log.fatal(
      { error: text, stack },
      'an exception was not caught: the process ends, because its state is unknown',
    );
    void stop(1, error ?? new Error('nothing was thrown'));
  });
}

/** Runs them one after another; after a phase that fails, the next one runs all the same. Never throws. */
export async function runPhases(phases: readonly Phase[], log: Logger): Promise<void> {
  for (const { name, run } of phases) {
    try {
      await run();
    } catch (error) {
      log.error({ phase: name, error: describeError(error).text }, 'a phase of the shutdown failed');
    }
  }
}
