// The worker of dev, replaced when its handlers change; the old one goes on until the new one is ready.
import type { Environment } from '../config.ts';
import { CommandError, describeError } from '../errors.ts';
import { type Child, startChild } from '../runtime/child-process.ts';

export interface ReloadingWorker {
  /** Starts a worker with the handlers as they are now. When it does not become ready, the old one is kept. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

export interface ReloadingWorkerOptions {
  env: Environment;
  folder: string;
  onLine: (line: string) => void;
  say(text: string): void;
  /** Run before each worker: the tables that its handlers want. */
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
      // Its own words were passed on already.
      throw new CommandError(`the worker did not start (${await child.exited})`);
    }
    void child.exited.then((how) => onEnd(child, how));
    return child;
  }

  /** It was ready once, so its handlers load: it is started again, as every platform would. */
  async function onEnd(child: Child, how: string): Promise<void> {
    if (isStopping || child !== current) return;
    say(`the worker ended (${how}); starting it again`);
    current = undefined;
    await replace();
  }

  /** One at a time. @returns whether a new one runs; never rejects */
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
          ? 'the worker that runs is kept; fix the handlers and save'
          : 'no worker runs; fix the handlers and save',
      );
      return false;
    }
  }

  return {
    reload: async () => {
      if (await replace()) say(`the worker runs the handlers as they are now (process ${current?.pid})`);
    },
    stop: async () => {
      isStopping = true;
      await Promise.all([...children].map((child) => child.stop()));
    },
  };
}
