// dev's worker. When the handlers change, a new worker replaces it; the old worker runs until the new one is ready.
import type { Environment } from '../config.ts';
import { CommandError, describeError } from '../errors.ts';
import { type Child, startChild } from '../runtime/child-process.ts';

export interface ReloadingWorker {
  /** Starts a worker with the current handlers. If it does not become ready, the old worker stays. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

export interface ReloadingWorkerOptions {
  env: Environment;
  folder: string;
  onLine: (line: string) => void;
  say(text: string): void;
  /** Runs before each start of a worker: creates the tables of its handlers. */
  migrate(): Promise<unknown>;
}

export function createReloadingWorker(options: ReloadingWorkerOptions): ReloadingWorker {
  const { say } = options;
  const children = new Set<Child>();
  let current: Child | undefined;
  let isStopping = false;
  let replacing: Promise<unknown> = Promise.resolve();

  async function start(): Promise<Child> {
    const child = startChild({ verb: 'worker', ...options });
    children.add(child);
    void child.exited.then(() => children.delete(child));
    try {
      await child.waitForLog('ready');
    } catch {
      // `onLine` has printed the worker's own error.
      throw new CommandError(`the worker did not start (${await child.exited})`);
    }
    void child.exited.then((how) => onEnd(child, how));
    return child;
  }

  /** Restarts a worker that was ready and has ended, as a platform does. */
  async function onEnd(child: Child, how: string): Promise<void> {
    if (isStopping || child !== current) return;
    say(`the worker ended (${how}); dev starts a new worker`);
    current = undefined;
    await replace();
  }

  /** Replaces the worker, one replacement at a time. @returns true if a new worker runs; never rejects */
  function replace(): Promise<boolean> {
    const replaced = replacing.then(replaceNow);
    replacing = replaced;
    return replaced;
  }

  async function replaceNow(): Promise<boolean> {
    if (isStopping) return false;
    try {
      await options.migrate();
      const next = await start();
      const old = current;
      current = next;
      await old?.stop();
      return true;
    } catch (error) {
      if (isStopping) return false;
      say(describeError(error).text.replace(/^CommandError: /, ''));
      say(
        current
          ? 'the old worker keeps running; fix the handlers and save'
          : 'no worker runs; fix the handlers and save',
      );
      return false;
    }
  }

  return {
    reload: async () => {
      if (await replace()) say(`the worker runs the current handlers (process ${current?.pid})`);
    },
    stop: async () => {
      isStopping = true;
      await Promise.all([...children].map((child) => child.stop()));
    },
  };
}
