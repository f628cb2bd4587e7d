// The program as it is deployed: built, without the packages of development, in a folder of its own.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';
import { type ProcessOptions, plainEnvironment, runProcess } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const copied = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'Procfile',
  'README.md',
].concat(['LICENSE', 'sql', 'src', 'handlers']);
const commandTimeoutMs = 300_000;

/** Another Node than this one, to try a release with it; undefined: this one. */
export const testNode = process.env.POSTBELL_TEST_NODE || process.execPath;

/** As a platform's: NODE_ENV, and the Node of the deployment first in the PATH. */
export function productionEnvironment(): { PATH: string; NODE_ENV: string } {
  const { PATH = '' } = plainEnvironment();
  return { PATH: `${path.dirname(testNode)}${path.delimiter}${PATH}`, NODE_ENV: 'production' };
}

/** The repository after `npm run build` and `npm prune --omit=dev`; removed at the end of `t`. */
export async function deployRepository(t: Test): Promise<string> {
  const folder = await buildRepository(t);
  await npm(folder, 'prune --omit=dev');
  return folder;
}

async function buildRepository(t: Test): Promise<string> {
  const folder = folderOnDisk(t);
  for (const name of copied) fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  copyPackages(folder);
  await npm(folder, 'run build');
  return folder;
}

/** An empty project with the packed package installed in it, in `node_modules/postbell`; removed at the end of `t`. */
export async function installPackage(t: Test): Promise<string> {
  const repository = await buildRepository(t);
  const folder = folderOnDisk(t);
  const packed = await npm(repository, `pack --pack-destination '${folder}'`);
  const tarball = packed.trim().split('\n').at(-1)!;
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  // npm finds the dependencies in place and downloads nothing. It takes away each package that postbell does not need.
  fs.renameSync(path.join(repository, 'node_modules'), path.join(folder, 'node_modules'));
  await npm(folder, `install --offline ./${tarball}`);
  return folder;
}

/**
 * A command line for a shell, as a Procfile has them. tap puts loaders of its own, also one for TypeScript, into every
 * process that a test starts; a deployment has none.
 */
export function shell(command: string, options: ProcessOptions): [args: string[], options: ProcessOptions] {
  return [['-c', `unset NODE_OPTIONS; exec ${command}`], { ...options, program: '/bin/sh' }];
}

/** @returns standard output */
async function npm(cwd: string, command: string): Promise<string> {
  const env = { NPM_CONFIG_FUND: 'false', NPM_CONFIG_AUDIT: 'false', NPM_CONFIG_UPDATE_NOTIFIER: 'false' };
  const [args, options] = shell(`npm ${command}`, { cwd, env });
  const { code, stdout, stderr } = await runProcess(args, { ...options, timeoutMs: commandTimeoutMs });
  if (code !== 0) throw new Error(`npm ${command} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** Beside the repository's packages where links can reach them, not in memory: they are large. */
function folderOnDisk(t: Test): string {
  const folder = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'postbell-deploy-'));
  atEnd(t, () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Hard links are enough: npm removes packages and changes none. Its own list of them is the one file that it rewrites. */
function copyPackages(folder: string): void {
  const from = path.join(root, 'node_modules');
  const to = path.join(folder, 'node_modules');
  for (const entry of fs.readdirSync(from, { recursive: true, withFileTypes: true })) {
    const source = path.join(entry.parentPath, entry.name);
    const target = path.join(to, path.relative(from, source));
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (entry.isDirectory()) fs.mkdirSync(target, { recursive: true });
    else if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target);
    else if (entry.name === '.package-lock.json') fs.copyFileSync(source, target);
    else linkOrCopy(source, target);
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    fs.linkSync(source, target);
  } catch (error) {
    // Another file system, or one that forbids links to files of somebody else.
    if (!['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    fs.copyFileSync(source, target);
  }
}
