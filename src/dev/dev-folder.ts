// `.postbell/` in the project's folder: dev's files, by which other commands find a running dev.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { isAlive } from '../runtime/is-alive.ts';

const folderName = '.postbell';
export const secretsFile = 'dev.env';
const runningFile = 'running.env';

/** The path of the project's `.postbell`, created if missing; git ignores the whole folder. */
export function openDevFolder(projectFolder: string): string {
  const folder = path.join(projectFolder, folderName);
  mkdirSync(folder, { recursive: true });
  const ignoreFile = path.join(folder, '.gitignore');
  if (!existsSync(ignoreFile)) writeFileSync(ignoreFile, '*\n');
  return folder;
}

/** Tells commands in other terminals where dev runs. Writes only values that dev chose, none of the caller's settings. */
export function announceRunning(
  devFolder: string,
  address: { port: number; databaseUrl: string | undefined },
): void {
  writeEnvFile(path.join(devFolder, runningFile), 'the address of the running dev; removed at its end', {
    POSTBELL_DEV_PID: String(process.pid),
    PORT: String(address.port),
    ...(address.databaseUrl ? { DATABASE_URL: address.databaseUrl } : {}),
  });
}

export function withdrawRunning(devFolder: string): void {
  rmSync(path.join(devFolder, runningFile), { force: true });
}

/**
 * The secrets, port and database of the dev that runs in the project's folder. Empty if none runs, so that leftovers of
 * an earlier dev never reach a command.
 */
export function readRunningDev(projectFolder: string): Record<string, string> {
  const devFolder = path.join(projectFolder, folderName);
  const { POSTBELL_DEV_PID: pid, ...running } = readEnvFile(path.join(devFolder, runningFile));
  if (!pid || !isAlive(Number(pid))) return {};
  return { ...readEnvFile(path.join(devFolder, secretsFile)), ...running };
}

/** Empty if the file is missing or not readable. */
export function readEnvFile(file: string): Record<string, string> {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return {};
    throw error;
  }
}

/** Readable by its owner only. */
export function writeEnvFile(file: string, purpose: string, values: Record<string, string>): void {
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, `# Written by postbell dev: ${purpose}.\n${lines.join('')}`, { mode: 0o600 });
}
