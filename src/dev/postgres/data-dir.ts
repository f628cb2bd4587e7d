// Checks and prepares the data directory of an embedded Postgres.
import fs from 'node:fs';
import path from 'node:path';
import { CommandError } from '../../errors.ts';
import { isAlive } from '../../runtime/is-alive.ts';
import { logFile, passwordFile } from './guardian.ts';

const hasProc = fs.existsSync('/proc/self/cwd');

/** @throws CommandError if the folder belongs to another user or contains other files */
export function isInitialised(dataDir: string): boolean {
  let names: string[];
  try {
    names = fs.readdirSync(dataDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    throw new CommandError(
      `the data directory ${dataDir} cannot be read (${code}): delete it, or run as its owner`,
    );
  }
  if (names.length === 0 || names.includes(passwordFile)) return names.length > 0;
  throw new CommandError(
    `${dataDir} holds files that are not ours (no ${passwordFile}): choose an empty or a new folder`,
  );
}

/**
 * Checks an initialised data directory before a start and empties its log.
 * @returns environment variables that this start needs
 * @throws CommandError with the remedy when it is in use or of another version
 */
export function checkDataDir(dataDir: string, major: number): Record<string, string> {
  const version = fs.readFileSync(path.join(dataDir, 'PG_VERSION'), 'utf8').trim();
  if (version !== String(major)) {
    throw new CommandError(
      `${dataDir} was made by Postgres ${version}, this is Postgres ${major}: delete the folder to start afresh, ` +
        `or move its data with pg_dump and psql of version ${major}`,
    );
  }
  const pid = Number(readPidFile(dataDir)?.[0]);
  const isRunning = pid > 0 && isAlive(pid);
  if (isRunning && isPostmasterOf(pid, dataDir)) throw inUse(dataDir, pid);
  const log = path.join(dataDir, logFile);
  if (fs.existsSync(log)) fs.truncateSync(log);
  // A pid file that a crash left may contain the id of another program now. Postgres would not start; with the id in
  // PG_GRANDPARENT_PID it ignores the file, but still checks for remaining sessions.
  return isRunning && hasProc ? { PG_GRANDPARENT_PID: String(pid) } : {};
}

/** The error for a data directory that another Postgres runs on. */
export function inUse(dataDir: string, pid?: number): CommandError {
  const user = pid ? `process ${pid}` : 'another Postgres';
  return new CommandError(
    `the data directory ${dataDir} is in use by ${user}: stop that one, or choose another folder`,
  );
}

export function readPassword(dataDir: string): string {
  return fs.readFileSync(path.join(dataDir, passwordFile), 'utf8');
}

/** True if the pid file says that the expected Postgres accepts connections. */
export function isReady(
  dataDir: string,
  expected: { pid: number; port: number; startedAtMs: number },
): boolean {
  const [pid, , startedAtSeconds, port, , , , status] = readPidFile(dataDir) ?? [];
  return (
    status?.trim() === 'ready' &&
    Number(pid) === expected.pid &&
    Number(port) === expected.port &&
    Number(startedAtSeconds) >= Math.floor(expected.startedAtMs / 1_000)
  );
}

/** Creates an empty folder for initdb beside the data directory. A complete one is moved; an interrupted initdb leaves no half directory. */
export function prepareFolder(dataDir: string): string {
  const parent = path.dirname(dataDir);
  fs.mkdirSync(parent, { recursive: true });
  const prefix = `${path.basename(dataDir)}.new-`;
  for (const name of fs.readdirSync(parent).filter((entry) => entry.startsWith(prefix))) {
    const isLeftBehind = !isAlive(Number(name.slice(prefix.length).split('-')[0]));
    if (isLeftBehind) fs.rmSync(path.join(parent, name), { recursive: true, force: true });
  }
  return fs.mkdtempSync(path.join(parent, `${prefix}${process.pid}-`));
}

export function moveInto(folder: string, dataDir: string): void {
  if (folder !== dataDir) fs.renameSync(folder, dataDir);
}

function readPidFile(dataDir: string): string[] | undefined {
  try {
    return fs.readFileSync(path.join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

// A postmaster's working directory is its data directory. If it is not readable, Postgres itself checks.
function isPostmasterOf(pid: number, dataDir: string): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(dataDir);
  } catch {
    return false; // no /proc, a zombie, or a process of another user
  }
}
