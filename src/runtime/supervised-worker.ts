// The worker of `postbell start`: started again whenever it ends, as a platform does with a process of its own.
import type { Logger } from '../logger.ts';
import type { Child } from './child-process.ts';
import { pause } from './pause.ts';

export interface SupervisedWorker {
  /** Ends the worker and starts no further one. Resolves when it has ended. */
  stop(): Promise<void>;
}

const firstPauseMs = 1_000;
const maxPauseMs = 30_000;
/** After a worker that ran for this time, the pauses begin anew. */
const steadyMs = 60_000;

export function superviseWorker(startWorker: () => Child, log: Logger): SupervisedWorker {
  const stopping = new AbortController();
  let child: Child | undefined;

  async function run(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!stopping.signal.aborted) {
      const startedAtMs = performance.now();
      child = startWorker();
      const end = await child.exited;
      if (stopping.signal.aborted) return;
      if (performance.now() - startedAtMs > steadyMs) pauseMs = firstPauseMs;
      log.error(
        { workerPid: child.pid, end, pauseMs },
        'the worker ended; a new worker starts after a pause',
      );
      await pause(pauseMs, stopping.signal);
      pauseMs = Math.min(2 * pauseMs, maxPauseMs);
    }
  }
  const running = run();

  return {
    stop: async () => {
      stopping.abort();
      await child?.stop();
      await running;
    },
  };
}
