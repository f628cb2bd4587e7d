// One pass of a task at a time: at an interval, and at once when woken.
import { describeError } from './errors.ts';
import type { Logger } from './logger.ts';

export interface Repeated {
  /** There is something to do: a pass at once, or right after the one that runs. */
  wake(): void;
  /** Resolves when the pass that runs has ended. */
  stop(): Promise<void>;
}

/** @param whatFailed for the log, when a pass throws; the next one comes all the same */
export function repeat(
  intervalMs: number,
  log: Logger,
  whatFailed: string,
  pass: () => Promise<void>,
): Repeated {
  let isStopped = false;
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const run = () => {
    clearTimeout(timer);
    isWoken = false;
    running = pass()
      .catch((error) => log.error({ error: describeError(error).text }, whatFailed))
      .finally(() => {
        running = undefined;
        if (isStopped) return;
        if (isWoken) run();
        else timer = setTimeout(run, intervalMs);
      });
  };
  run();
  return {
    wake: () => {
      if (isStopped) return;
      isWoken = true;
      if (!running) run();
    },
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
