// One pass of a task at a time: at an interval, and at once when woken.
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export interface Repeated {
  /** There is something to do: a pass at once, or right after the one that runs. */
  wake(): void;
  /** Aborts the signal of the pass that runs, and resolves when it has ended. */
  stop(): Promise<void>;
}

/**
 * @param whatFailed for the log, when a pass throws; the next one comes all the same
 * @param pass its signal is aborted when it has to stop: it may be in the middle of a mass replay
 */
export function repeat(
  intervalMs: number,
  log: Logger,
  whatFailed: string,
  pass: (signal: AbortSignal) => Promise<void>,
): Repeated {
  const stopping = new AbortController();
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const run = () => {
    clearTimeout(timer);
    isWoken = false;
    running = pass(stopping.signal)
      .catch((error) => log.error({ error: describeError(error).text }, whatFailed))
      .finally(() => {
        running = undefined;
        if (stopping.signal.aborted) return;
        if (isWoken) run();
        else timer = setTimeout(run, intervalMs);
      });
  };
  run();
  return {
    wake: () => {
      if (stopping.signal.aborted) return;
      isWoken = true;
      if (!running) run();
    },
    stop: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
