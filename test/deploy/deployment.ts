// The program as it is deployed: built, without the packages of development, in a folder of its own.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';
import { type ProcessOptions, plainEnvironment, runProcess } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Not in a fresh clone, or too large for the tests. */
const notCopied = ['.git', '.postbell', '.tap', '.env', 'coverage', 'dist', 'node_modules'];
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
  const folder = copyRepository(t);
  await run(folder, 'npm run build');
  await run(folder, 'npm prune --omit=dev');
  return folder;
}

/** As a fresh clone after `npm ci`, without a build. */
function copyRepository(t: Test): string {
  const folder = folderOnDisk(t);
  for (const name of fs.readdirSync(root).filter((name) => !notCopied.includes(name)))
    fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  copyPackages(folder);
  return folder;
}

/** The tarball that `npm run test:adopt` has packed for all its files; without it, `packPackage`. */
export async function packedPackage(t: Test): Promise<string> {
  const { POSTBELL_TEST_PACKAGE: folder } = process.env;
  if (!folder) return packPackage(t);
  return path.join(folder, fs.readdirSync(folder).find((name) => name.endsWith('.tgz'))!);
}

/** `npm pack` in a fresh clone. @returns the tarball's path; removed at the end of `t` */
async function packPackage(t: Test, repository = copyRepository(t)): Promise<string> {
  const folder = folderOnDisk(t);
  const packed = await run(repository, `npm pack --pack-destination '${folder}'`);
  return path.join(folder, packed.trim().split('\n').at(-1)!);
}

/** An empty project with the packed package installed in it, in `node_modules/postbell`; removed at the end of `t`. */
export async function installPackage(t: Test): Promise<string> {
  const repository = copyRepository(t);
  const tarball = await packPackage(t, repository);
  const folder = createProject(t);
  // npm finds the dependencies in place and downloads nothing. It takes away each package that postbell does not need.
  fs.renameSync(path.join(repository, 'node_modules'), path.join(folder, 'node_modules'));
  await run(folder, `npm install --offline '${tarball}'`);
  return folder;
}

/** @param manifest the package.json @returns its folder; removed at the end of `t` */
export function createProject(t: Test, manifest: Record<string, unknown> = { private: true }): string {
  const folder = folderOnDisk(t);
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  return folder;
}

/**
 * A command line for a shell, as a Procfile has them. tap puts loaders of its own, also one for TypeScript, into every
 * process that a test starts; a deployment has none.
 */
export function shell(command: string, options: ProcessOptions): [args: string[], options: ProcessOptions] {
  return [['-c', `unset NODE_OPTIONS; exec ${command}`], { ...options, program: '/bin/sh' }];
}

/** Without them npm does not reach the registry from behind a company's proxy: it retries for a minute, then fails. */
const registryVariables = ['NODE_EXTRA_CA_CERTS', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/**
 * @param more besides what npm needs
 * @returns standard output @throws Error with all output when the command fails
 */
export async function run(cwd: string, command: string, more: Record<string, string> = {}): Promise<string> {
  const toRegistry = registryVariables.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  const env = {
    NPM_CONFIG_FUND: 'false',
    NPM_CONFIG_AUDIT: 'false',
    NPM_CONFIG_UPDATE_NOTIFIER: 'false',
    // What npm's cache has is not asked for again: the versions of this lockfile are in it.
    NPM_CONFIG_PREFER_OFFLINE: 'true',
    ...Object.fromEntries(toRegistry),
    ...more,
  };
  const [args, options] = shell(command, { cwd, env });
  const { code, stdout, stderr } = await runProcess(args, { ...options, timeoutMs: commandTimeoutMs });
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${stdout}${stderr}`);
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
