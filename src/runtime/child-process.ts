// `postbell web` and `postbell worker` as real child processes of dev and demo, gone when we are, however we end.
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
  /** Fulfilled when it is gone and its last line was read; how it ended, e.g. `exit code 1`. */
  exited: Promise<string>;
  /** Rejects when it is gone, with a CommandError that holds its last words; never fulfilled. */
  broken: Promise<never>;
  /** Its line `listening` or `ready`, past or future. Rejects as `broken` does when it ends before. */
  waitForLog(msg: string): Promise<LogLine>;
  /** SIGTERM; SIGKILL when that does not help. Fulfilled when it is gone. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  verb: 'web' | 'worker';
  env: Environment;
  /** Where its relative paths begin. */
  folder: string;
  onLine?: (line: string) => void;
}

// In dist/ the command line is a .js beside the compiled commands.
const cli = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../cli.ts' : '../cli.js', import.meta.url),
);
const killAfterMs = 25_000; // a process of ours exits hard at 20 s by default
const keptLines = 40;

export function startChild({ verb, env, folder, onLine }: ChildOptions): Child {
  const child = spawn(process.execPath, [cli, verb], {
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
      for (const look of watchers) look();
    });
  }
  const lastWords = () => lastLines.map(messageOf).join('\n');
  const exited = once(child, 'close')
    .then(([code, signal]) => (signal ? `signal ${signal}` : `exit code ${code}`))
    .catch((error: Error) => error.message) // it could not be started at all
    .then((how) => {
      ending = how;
      return how;
    });
  const broken = exited.then((how) => {
    throw new CommandError(`postbell ${verb} ended (${how}):\n${lastWords()}`);
  });
  broken.catch(() => {}); // it may end when nobody asks
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

/** Kept for `waitForLog`: a child's other lines would pile up over days of `dev`. */
function watchesFor(msg: string): boolean {
  return msg === 'listening' || msg === 'ready';
}

export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined; // a line of something else, e.g. of the team's own console
  }
}

function messageOf(line: string): string {
  const log = parseLogLine(line);
  if (!log) return line;
  return [log.msg, log.error].filter((part) => part !== undefined).join(': ');
}

/**
 * A shell that waits for the end of its standard input, a pipe that only we hold: the kernel closes it when we end,
 * also by SIGKILL. The child's jobs are retried, as after every crash.
 */
function killWhenWeAreGone(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const shadow = spawn(
    '/bin/sh',
    ['-c', 'read -r _; kill -KILL "$1"', 'postbell-shadow', String(child.pid)],
    {
      detached: true, // Ctrl-C goes to the terminal's processes; this one must outlive it
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  shadow.on('error', () => {}); // no shell: then a killed parent leaves its children, and nothing else changes
  shadow.unref();
  (shadow.stdin as unknown as Socket).unref();
  child.once('exit', () => shadow.kill('SIGKILL'));
}
