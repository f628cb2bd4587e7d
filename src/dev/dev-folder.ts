// `.postbell/` in the project's folder: what dev keeps there, and how other commands find a dev that runs.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import { isAlive } from '../runtime/is-alive.ts';

const folderName = '.postbell';
export const secretsFile = 'dev.env';
const runningFile = 'running.env';

/** The project's `.postbell`, made if needed; git ignores all of it. */
export function openDevFolder(projectFolder: string): string {
  const folder = path.join(projectFolder, folderName);
  mkdirSync(folder, { recursive: true });
  const ignoreFile = path.join(folder, '.gitignore');
  if (!existsSync(ignoreFile)) writeFileSync(ignoreFile, '*\n');
  return folder;
}

/** For the commands of another terminal. Only what dev itself made up is written, no setting of the caller's. */
export function announceRunning(
  devFolder: string,
  address: { port: number; databaseUrl: string | undefined },
): void {
  writeEnvFile(path.join(devFolder, runningFile), 'where it runs; removed when it ends', {
    POSTBELL_DEV_PID: String(process.pid),
    PORT: String(address.port),
    ...(address.databaseUrl ? { DATABASE_URL: address.databaseUrl } : {}),
  });
}

export function withdrawRunning(devFolder: string): void {
  rmSync(path.join(devFolder, runningFile), { force: true });
}

/**
 * The settings of the dev that runs in the project's folder: its secrets, port and database. Empty when none runs, so
 * that what an earlier one left never reaches a command.
 */
export function readRunningDev(projectFolder: string): Record<string, string> {
  const devFolder = path.join(projectFolder, folderName);
  const { POSTBELL_DEV_PID: pid, ...running } = readEnvFile(path.join(devFolder, runningFile));
  if (!pid || !isAlive(Number(pid))) return {};
  return { ...readEnvFile(path.join(devFolder, secretsFile)), ...running };
}

/** Empty where there is none, or none that we may read. */
export function readEnvFile(file: string): Record<string, string> {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return {};
    throw error;
  }
}

/** For its owner's eyes only. */
export function writeEnvFile(file: string, purpose: string, values: Record<string, string>): void {
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, `# Written by postbell dev: ${purpose}.\n${lines.join('')}`, { mode: 0o600 });
}
