// Watches a folder of code, and reports each change once, when its files are complete.
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError } from '../errors.ts';

const betweenChecksMs = 60;
const isIgnored = (name: string) => name === 'node_modules' || name.startsWith('.');
/** Only these files count: others, such as logs and uploads, change while no code does. */
const isCode = (name: string) => /\.([cm]?[jt]s|[jt]sx|json|sql)$/.test(name);

/**
 * Calls `onChange` once for all steps of an editor's save: when two checks of the folder, a moment apart, find the same
 * files. Changes while `onChange` runs are reported afterwards.
 * @returns a function that ends the watch @throws CommandError when there are more folders than the system watches
 */
export function watchFolder(folder: string, onChange: () => Promise<void>): () => void {
  const watchers = new Map<string, FSWatcher>();
  let reported = fingerprint(folder);
  let isChecking = false;
  let isDirty = false;
  let isEnded = false;

  async function check(): Promise<void> {
    isDirty = true;
    if (isChecking) return;
    isChecking = true;
    while (isDirty && !isEnded) {
      isDirty = false;
      let seen = fingerprint(folder);
      for (let before = ''; seen !== before; seen = fingerprint(folder)) {
        before = seen;
        await delay(betweenChecksMs);
      }
      watchAll();
      if (isEnded || seen === reported) continue;
      reported = seen;
      await onChange();
    }
    isChecking = false;
  }

  // Each folder has a watcher. Many editors save by rename, and `fs.watch` with `recursive` (Node 24, Linux) misses the second
  // rename onto a file; `node --watch` would end the old worker before the new one is ready.
  function watchAll(): void {
    const folders = new Set(foldersIn(folder));
    for (const [name, watcher] of watchers) {
      if (folders.has(name)) continue;
      watcher.close();
      watchers.delete(name);
    }
    for (const name of folders) {
      if (watchers.has(name)) continue;
      const watcher = watchOne(name, () => void check());
      watcher.on('error', () => void check()); // the folder was deleted: check the others
      watchers.set(name, watcher);
    }
  }
  watchAll();

  return () => {
    isEnded = true;
    for (const watcher of watchers.values()) watcher.close();
  };
}

function watchOne(folder: string, onEvent: () => void): FSWatcher {
  try {
    return watch(folder, onEvent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw new CommandError(
      'there are more folders than this system watches: raise fs.inotify.max_user_watches (man 7 inotify)',
    );
  }
}

function foldersIn(folder: string): string[] {
  const inside = entriesOf(folder).filter((entry) => entry.isDirectory() && !isIgnored(entry.name));
  return [folder, ...inside.flatMap((entry) => foldersIn(path.join(folder, entry.name)))];
}

/** Name, size and modification time of every file of code. */
function fingerprint(folder: string): string {
  return foldersIn(folder)
    .flatMap((name) => entriesOf(name).map((entry) => path.join(name, entry.name)))
    .filter(isCode)
    .map((file) => {
      const found = statSync(file, { throwIfNoEntry: false });
      return found?.isFile() ? `${file} ${found.size} ${found.mtimeMs}\n` : '';
    })
    .sort()
    .join('');
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []; // just removed
    throw error;
  }
}
