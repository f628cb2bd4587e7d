// What an installation for production brings along, and whether it runs without install scripts.
import { execFile } from 'node:child_process';
import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { plainEnvironment } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

interface LockedPackage {
  version?: string;
  license?: string;
  integrity?: string;
  resolved?: string;
  dev?: boolean;
  devOptional?: boolean;
  hasInstallScript?: boolean;
}

export const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

/** Every package of a production installation, from the lockfile. */
export function productionPackages(): (LockedPackage & { name: string })[] {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return Object.entries(lock.packages)
    .filter(([name, { dev, devOptional }]) => name !== '' && !dev && !devOptional)
    .map(([name, locked]) => ({ name: name.replace(/^.*node_modules\//, ''), ...locked }));
}

export type AuditResult = { isAnswered: false; why: string } | { isAnswered: true; severe: number };

/** `npm audit --omit=dev`. Some registries do not answer that question; then it was not asked, not passed. */
export async function audit(): Promise<AuditResult> {
  const { stdout } = await run('npm', ['audit', '--omit=dev', '--json'], {
    cwd: root,
    timeout: 30_000,
  }).catch((error: { stdout?: string; message: string }) => ({
    stdout: error.stdout || JSON.stringify({ message: error.message }),
  }));
  const report = JSON.parse(stdout) as {
    message?: string;
    metadata?: { vulnerabilities: { high: number; critical: number } };
  };
  const counts = report.metadata?.vulnerabilities;
  if (!counts) return { isAnswered: false, why: (report.message ?? 'no answer').slice(0, 80) };
  return { isAnswered: true, severe: counts.high + counts.critical };
}

/** Installs as production does, without any install script, and asks the status of an inbox there. */
export async function installWithoutScripts(folder: string, databaseUrl: string): Promise<string> {
  for (const name of ['package.json', 'package-lock.json', 'src', 'sql'])
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['ci', ...options], { cwd: folder, timeout: 120_000 });
  const env = { ...plainEnvironment(), DATABASE_URL: databaseUrl };
  const { stdout } = await run(process.execPath, ['src/cli.ts', 'status', '--json'], { cwd: folder, env });
  return stdout;
}
