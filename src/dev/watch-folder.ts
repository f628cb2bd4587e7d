// Watches a folder of code, and reports each change once, when its files are complete.
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const betweenChecksMs = 60;
const isIgnored = (name: string) => name === 'node_modules' || name.startsWith('.');

/**
 * Calls `onChange` once for all steps of an editor's save: when two checks of the folder, a moment apart, find the same
 * files. Changes while `onChange` runs are reported afterwards.
 * @returns a function that ends the watch
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
      const watcher = watch(name, () => void check());
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

function foldersIn(folder: string): string[] {
  const inside = entriesOf(folder).filter((entry) => entry.isDirectory() && !isIgnored(entry.name));
  return [folder, ...inside.flatMap((entry) => foldersIn(path.join(folder, entry.name)))];
}

/** Name, size and modification time of every file. */
function fingerprint(folder: string): string {
  return foldersIn(folder)
    .flatMap((name) => entriesOf(name).map((entry) => path.join(name, entry.name)))
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
