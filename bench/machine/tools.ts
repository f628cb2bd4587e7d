// The programs and packages that only the benchmark needs: found, or installed where that is ours to do.
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const benchFolder = join(import.meta.dirname, '..');

export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}

/** Debian's packages, as root on Debian; elsewhere it is for the user to do. */
export function installMissing(programs: readonly string[], say: (text: string) => void): void {
  const missing = programs.filter((program) => !isInstalled(program));
  if (!missing.length || process.getuid?.() !== 0 || !isInstalled('apt-get')) return;
  say(`installing ${missing.join(', ')} with apt-get`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0) say(`apt-get ${args[0]} failed: ${stderr.trim().split('\n').at(-1)}`);
  }
}

/** The peers' packages, in bench/node_modules: nothing of them is Postbell's. */
export function installPackages(say: (text: string) => void): void {
  if (existsSync(join(benchFolder, 'node_modules/bullmq'))) return;
  say('installing the packages of bench/package.json');
  execFileSync('npm', ['ci', '--prefix', benchFolder, '--ignore-scripts', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
