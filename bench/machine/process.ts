// Starts and stops the processes under measurement, and reads what they cost from /proc.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Program {
  /** Names its log file. */
  name: string;
  /** Arguments of node. */
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Web processes: their address, asked until it answers. Workers: undefined, they log "ready". */
  url?: string;
}

export interface RunningProgram {
  name: string;
  pid: number;
  /** From spawn to the first answer of /healthz; workers: to their "ready". */
  listeningMs: number;
  /** From spawn to the first 200 of /readyz, or to "ready". */
  readyMs: number;
  usage(): Usage;
  stop(): Promise<void>;
}

/** CPU time in ms since its start, and memory; undefined where there is no /proc. */
export interface Usage {
  cpuMs: number | undefined;
  rssMb: number | undefined;
  peakRssMb: number | undefined;
}

const startTimeoutMs = 60_000;
const stopTimeoutMs = 30_000;
const alive = new Set<ChildProcess>();

// Whatever ends the benchmark ends what it started.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export async function startProgram(program: Program, workFolder: string): Promise<RunningProgram> {
  const logFile = join(workFolder, `${program.name}.log`);
  const startedAt = performance.now();
  const child = spawnLogged(process.execPath, program.args, program.env, logFile);
  let listeningMs = 0;
  try {
    if (program.url) {
      await untilAnswered(`${program.url}/healthz`, child, logFile);
      listeningMs = performance.now() - startedAt;
      await untilAnswered(`${program.url}/readyz`, child, logFile);
    } else {
      await untilLogged('"ready"', child, logFile);
      listeningMs = performance.now() - startedAt;
    }
  } catch (error) {
    await stopChild(child);
    throw error;
  }
  return {
    name: program.name,
    pid: child.pid!,
    listeningMs,
    readyMs: performance.now() - startedAt,
    usage: () => usageOf(child.pid!),
    stop: () => stopChild(child),
  };
}

/** For programs that are no node programs: redis-server. */
export function spawnLogged(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  logFile: string,
): ChildProcess {
  const log = openSync(logFile, 'w');
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  alive.add(child);
  child.once('exit', () => alive.delete(child));
  return child;
}

export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(timer);
}

async function untilAnswered(url: string, child: ChildProcess, logFile: string): Promise<void> {
  await until(child, logFile, async () => {
    const response = await fetch(url).catch(() => undefined); // not listening yet
    await response?.arrayBuffer();
    return response?.status === 200;
  });
}

async function untilLogged(text: string, child: ChildProcess, logFile: string): Promise<void> {
  await until(child, logFile, async () => readFileSync(logFile, 'utf8').includes(text));
}

async function until(child: ChildProcess, logFile: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while (!(await isTrue())) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      const lastLines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-8).join('\n');
      throw new Error(`a process did not become ready; the end of ${logFile}:\n${lastLines}`);
    }
    await delay(5);
  }
}

export function usageOf(pid: number): Usage {
  const status = readProc(`${pid}/status`);
  const kilobytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status ?? '')?.[1]);
  const mb = (key: string) => (status ? Math.round(kilobytes(key) / 1024) : undefined);
  return { cpuMs: cpuMsOf(pid), rssMb: mb('VmRSS'), peakRssMb: mb('VmHWM') };
}

const msPerTick = 10; // USER_HZ is 100 on every Linux that node runs on

/** Of the process alone. */
function cpuMsOf(pid: number): number | undefined {
  const fields = statOf(pid);
  return fields && (Number(fields[11]) + Number(fields[12])) * msPerTick;
}

/** Of a process, its children that live, and those that it has reaped: Postgres and its sessions. */
export function familyCpuMs(pid: number, pids: readonly number[]): number | undefined {
  const own = statOf(pid);
  if (!own) return undefined;
  const reaped = (Number(own[13]) + Number(own[14])) * msPerTick;
  const children = pids.filter((child) => Number(statOf(child)?.[1]) === pid);
  return [pid, ...children].reduce((sum, each) => sum + (cpuMsOf(each) ?? 0), reaped);
}

/** The fields after the command's name, which may hold blanks; [0] is the state, [1] the parent. */
function statOf(pid: number): string[] | undefined {
  const text = readProc(`${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return undefined; // no /proc here, or the process is gone
  }
}
