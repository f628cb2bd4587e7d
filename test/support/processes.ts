// Real processes of ours, started from source, watched by their log and gone when the test is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { isAlive } from '../../src/runtime/is-alive.ts';
import { atEnd } from './at-end.ts';
import { patienceMs } from './wait.ts';

export type LogLine = Record<string, unknown> & { msg?: string; level?: number };
export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export interface TestProcess {
  pid: number;
  /** The JSON lines on standard output so far. */
  logs: LogLine[];
  /** Both streams so far. */
  output(): string;
  /** The first line, past or future, that fits; a string must be part of `msg`. Fails when the process ends before. */
  waitForLog(fits: string | ((line: LogLine) => boolean), options?: { timeoutMs?: number }): Promise<LogLine>;
  /** The first match in both streams so far, past or future. Fails when the process ends before. */
  waitForOutput(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal?: NodeJS.Signals): void;
  /** Nobody reads its standard output until this is called with false; the end of the test does so, too. */
  pauseOutput(isPaused: boolean): void;
  exited: Promise<Exit>;
}

export interface ProcessOptions {
  /** Besides PATH, HOME and TMPDIR; nothing else of our own environment gets through. */
  env?: Record<string, string>;
  cwd?: string;
  /** Another script than src/cli.ts. */
  script?: string;
  /** Another program than this Node; it gets the arguments alone. */
  program?: string;
  /** Started as a terminal starts a program: the leader of a group of its own. */
  ownGroup?: boolean;
  /** The test wants it to end by itself with a failure. */
  mayFail?: boolean;
}

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const endTimeoutMs = 30_000; // beyond the 20 s after which our processes exit hard

/**
 * Starts `node src/cli.ts <args>`. At the end of `t` it gets SIGTERM; `t` fails if the process has to be killed then, or if
 * it ended with a failure that the test did not cause. It dies with the test's process, too.
 */
export function startProcess(t: Test, args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const child = spawnNode(args, options);
  const title = `postbell ${args.join(' ')}`;
  const logs: LogLine[] = [];
  const watchers = new Set<() => void>();
  let text = '';
  let exit: Exit | undefined;
  let wasKilled = false;
  const notify = () => {
    for (const watcher of watchers) watcher();
  };
  const lines = createInterface({ input: child.stdout! }).on('line', (line) => {
    text += `${line}\n`;
    const parsed = parseLine(line);
    if (parsed) logs.push(parsed);
    notify();
  });
  // A process that was killed closes its output before its end is known.
  let isOutputClosed = false;
  lines.once('close', () => (isOutputClosed = true));
  const resumeOutput = () => {
    if (!isOutputClosed) lines.resume();
  };
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    notify();
  });
  const closed = once(child, 'close');
  const exited = once(child, 'exit').then(async ([code, signal]): Promise<Exit> => {
    // Its last lines are still to be read; but a process that it left behind may hold the streams open.
    await Promise.race([closed, delay(1_000, undefined, { ref: false })]);
    exit = { code, signal };
    notify();
    return exit;
  });
  const lastWords = () => `its output:\n${text.slice(-4_000)}`;

  atEnd(t, async () => {
    if (exit) {
      const isFailure = exit.code !== 0 && !wasKilled && !options.mayFail;
      if (isFailure) throw new Error(`${title} ended by itself (${describe(exit)}); ${lastWords()}`);
      return;
    }
    resumeOutput();
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const hardEnd = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
    const last = await exited;
    clearTimeout(hardEnd);
    if (last.code === 0 || last.signal === 'SIGTERM' || wasKilled) return;
    throw new Error(
      `${title} was still running and did not end well on SIGTERM (${describe(last)}); ${lastWords()}`,
    );
  });

  return {
    pid: child.pid!,
    logs,
    output: () => text,
    exited,
    kill: (signal = 'SIGTERM') => {
      wasKilled = true;
      child.kill(signal);
    },
    pauseOutput: (isPaused) => {
      if (isPaused) lines.pause();
      else resumeOutput();
    },
    waitForLog: async (fits, { timeoutMs = patienceMs } = {}) => {
      const isFit = typeof fits === 'string' ? (line: LogLine) => line.msg?.includes(fits) : fits;
      return watch(() => logs.find(isFit), `logged ${fits}`, timeoutMs);
    },
    waitForOutput: (pattern) =>
      watch(() => pattern.exec(text) ?? undefined, `printed ${pattern}`, patienceMs),
  };

  async function watch<T>(find: () => T | undefined, what: string, timeoutMs: number): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = () => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (exit)
        reject(new Error(`${title} ended (${describe(exit)}) before it ${what}; ${lastWords()}`));
    };
    const tooLate = () =>
      reject(new Error(`${title} has not ${what} within ${timeoutMs} ms; ${lastWords()}`));
    const timer = setTimeout(tooLate, timeoutMs);
    watchers.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      watchers.delete(look);
    }
  }
}

/** Runs `node src/cli.ts <args>` to its end, as a command whose exit code and output are what matters. */
export async function runProcess(
  args: readonly string[],
  options: Omit<ProcessOptions, 'mayFail'> & { input?: string; timeoutMs?: number } = {},
): Promise<Exit & { stdout: string; stderr: string }> {
  const { timeoutMs = patienceMs } = options;
  const child = spawnNode(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  child.stdin!.on('error', () => {}); // it may end without reading its input
  child.stdin!.end(options.input ?? '');
  let isTooLate = false;
  const timer = setTimeout(() => {
    isTooLate = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  if (isTooLate)
    throw new Error(`postbell ${args.join(' ')} ran longer than ${timeoutMs} ms:\n${stdout}${stderr}`);
  return { code, signal, stdout, stderr };
}

/** Whether a process of that id runs; a zombie, which nobody has reaped yet, does not. */
export function isRunning(pid: number): boolean {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'linux') return true;
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false; // it ended meanwhile
  }
}

/** PATH and the like of our own environment, without what tap put there for itself. */
export function plainEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '/', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR ? { TMPDIR } : {}) };
}

function spawnNode(args: readonly string[], options: ProcessOptions): ChildProcess {
  const { program = process.execPath, script = cli } = options;
  const child = spawn(program, options.program ? args : [script, ...args], {
    cwd: options.cwd,
    detached: options.ownGroup ?? false,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // Waits for the end of its standard input, which is our end: then the child goes too, even if we were killed.
  const shadow = spawn('/bin/sh', ['-c', 'read -r _; kill -KILL "$1"', 'sh', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shadow.unref();
  (shadow.stdin as unknown as { unref(): void }).unref();
  child.once('exit', () => shadow.kill('SIGKILL'));
  return child;
}

function parseLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return undefined; // not a log line
  }
}

function describe({ code, signal }: Exit): string {
  return signal ? `signal ${signal}` : `exit code ${code}`;
}
