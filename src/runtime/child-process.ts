// Runs `postbell web` and `postbell worker` as child processes of dev, demo and start. They end with us, however we end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Environment } from '../config.ts';
import { CommandError } from '../errors.ts';

export type LogLine = Record<string, unknown> & { msg?: string; level?: number };

export interface Child {
  pid: number;
  hasExited(): boolean;
  /** Fulfilled when the child has ended and its last line was read, e.g. with `exit code 1`. */
  exited: Promise<string>;
  /** Rejects when the child has ended, with a CommandError that contains its last lines; never fulfilled. */
  broken: Promise<never>;
  /** The child's line `listening` or `ready`, past or future. Rejects like `broken` if the child ends before. */
  waitForLog(msg: string): Promise<LogLine>;
  /** SIGTERM, then SIGKILL after `killAfterMs`. Fulfilled when the child has ended. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  verb: 'web' | 'worker';
  env: Environment;
  /** Working directory. */
  folder: string;
  onLine?: (line: string) => void;
  /** Options of Node, e.g. `--max-semi-space-size=16`. Default: none. */
  nodeOptions?: readonly string[];
  /** From SIGTERM to SIGKILL. Default: 25 s, since web and worker exit after SHUTDOWN_TIMEOUT_SECONDS, 20 by default. */
  killAfterMs?: number;
}

// In dist/ the file is cli.js.
const cli = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../cli.ts' : '../cli.js', import.meta.url),
);
const keptLines = 40;

export function startChild(options: ChildOptions): Child {
  const { verb, env, folder, onLine, nodeOptions = [], killAfterMs = 25_000 } = options;
  const child = spawn(process.execPath, [...nodeOptions, cli, verb], {
    cwd: folder,
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const logs: LogLine[] = [];
  const lastLines: string[] = [];
  const watchers = new Set<() => void>();
  let ending: string | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const log = parseLogLine(line);
      if (log?.msg && watchesFor(log.msg)) logs.push(log);
      lastLines.push(line);
      if (lastLines.length > keptLines) lastLines.shift();
      onLine?.(line);
      for (const check of watchers) check();
    });
  }
  const lastMessages = () => lastLines.map(messageOf).join('\n');
  const exited = once(child, 'close')
    .then(([code, signal]) => (signal ? `signal ${signal}` : `exit code ${code}`))
    .catch((error: Error) => error.message) // the program could not be started
    .then((how) => {
      ending = how;
      return how;
    });
  const broken = exited.then((how) => {
    throw new CommandError(`postbell ${verb} ended (${how}):\n${lastMessages()}`);
  });
  broken.catch(() => {}); // the child may end while no caller waits
  killWhenWeAreGone(child);

  return {
    pid: child.pid ?? 0,
    hasExited: () => ending !== undefined,
    exited,
    broken,
    waitForLog: async (msg) => {
      const { promise, resolve } = Promise.withResolvers<LogLine>();
      const look = () => {
        const found = logs.find((line) => line.msg === msg);
        if (found) resolve(found);
      };
      watchers.add(look);
      look();
      return Promise.race([promise, broken]).finally(() => watchers.delete(look));
    },
    stop: async () => {
      child.kill('SIGTERM');
      const hardEnd = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      await exited;
      clearTimeout(hardEnd);
    },
  };
}

/** Only these lines are kept for `waitForLog`: others would fill the memory over days of `dev`. */
function watchesFor(msg: string): boolean {
  return msg === 'listening' || msg === 'ready';
}

export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined; // not a line of our logger, e.g. the team's own console output
  }
}

function messageOf(line: string): string {
  const log = parseLogLine(line);
  if (!log) return line;
  return [log.msg, log.error].filter((part) => part !== undefined).join(': ');
}

/**
 * Starts a shell that waits for the end of its standard input, a pipe that only this process holds. The kernel closes
 * the pipe when this process ends, also by SIGKILL; then the shell kills the child. The child's jobs are retried.
 */
function killWhenWeAreGone(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const shadow = spawn(
    '/bin/sh',
    ['-c', 'read -r _; kill -KILL "$1"', 'postbell-shadow', String(child.pid)],
    {
      detached: true, // Ctrl-C goes to the terminal's process group; this shell must survive it
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  shadow.on('error', () => {}); // without a shell, only a killed parent leaves its children running
  shadow.unref();
  (shadow.stdin as unknown as Socket).unref();
  child.once('exit', () => shadow.kill('SIGKILL'));
}
