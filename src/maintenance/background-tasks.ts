// Runs background tasks: one pass of each at a time, at its interval, and at once when it is woken.
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export interface BackgroundTask {
  /** Names the task to `wake`. */
  name: string;
  /** Pause between the end of a pass and the next pass. */
  intervalMs: number;
  /** The first pass comes after the interval. Default: at once. */
  waitsFirst?: boolean;
  /** Logged when a pass throws; the next pass runs all the same. */
  failureMessage: string;
  /** `signal` is aborted when the pass has to stop: it may be in the middle of a mass replay. */
  pass(signal: AbortSignal): Promise<void>;
}

export interface RunningTasks {
  /** There is something to do: a pass at once, or right after the one that runs. Ignored for a name that is not known. */
  wake(name: string): void;
  /** Aborts the signals of the passes that run, and resolves when all have ended. */
  stop(): Promise<void>;
}

export function startTasks(tasks: readonly BackgroundTask[], log: Logger): RunningTasks {
  const running = new Map(tasks.map((task) => [task.name, startTask(task, log)]));
  return {
    wake: (name) => running.get(name)?.wake(),
    stop: async () => {
      await Promise.all([...running.values()].map((task) => task.stop()));
    },
  };
}

function startTask({ intervalMs, waitsFirst, failureMessage, pass }: BackgroundTask, log: Logger) {
  const stopping = new AbortController();
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const run = () => {
    clearTimeout(timer);
    isWoken = false;
    running = pass(stopping.signal)
      .catch((error) => log.error({ error: describeError(error).text }, failureMessage))
      .finally(() => {
        running = undefined;
        if (stopping.signal.aborted) return;
        if (isWoken) run();
        else timer = setTimeout(run, intervalMs);
      });
  };
  if (waitsFirst) timer = setTimeout(run, intervalMs);
  else run();
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
