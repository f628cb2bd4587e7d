// Tells when the files of a folder have changed and are complete again, by looking instead of by waiting.
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const betweenLooksMs = 60;
const isIgnored = (name: string) => name === 'node_modules' || name.startsWith('.');

/**
 * Calls `onChange` once for whatever an editor does to save: when two looks at the folder, a moment apart, are the
 * same. Changes that come while `onChange` runs are told afterwards.
 * @returns a function that ends it
 */
export function watchFolder(folder: string, onChange: () => Promise<void>): () => void {
  const watchers = new Map<string, FSWatcher>();
  let told = fingerprint(folder);
  let isLooking = false;
  let isDirty = false;
  let isEnded = false;

  async function look(): Promise<void> {
    isDirty = true;
    if (isLooking) return;
    isLooking = true;
    while (isDirty && !isEnded) {
      isDirty = false;
      let seen = fingerprint(folder);
      for (let before = ''; seen !== before; seen = fingerprint(folder)) {
        before = seen;
        await delay(betweenLooksMs);
      }
      watchAll();
      if (isEnded || seen === told) continue;
      told = seen;
      await onChange();
    }
    isLooking = false;
  }

  // One watcher per folder: a file that is replaced by a rename, as many editors do, stays watched.
  function watchAll(): void {
    const folders = new Set(foldersIn(folder));
    for (const [name, watcher] of watchers) {
      if (folders.has(name)) continue;
      watcher.close();
      watchers.delete(name);
    }
    for (const name of folders) {
      if (watchers.has(name)) continue;
      const watcher = watch(name, () => void look());
      watcher.on('error', () => void look()); // the folder is gone; what is left is looked at
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

/** Name, size and time of every file. */
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
