// Folders for a test's files.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { atEnd } from './at-end.ts';

/** In memory, where there is plenty of it: a disk's moods would be in every time that a test measures. */
export function fastestFolder(): string {
  const memory = '/dev/shm';
  if (process.platform !== 'linux' || !fs.existsSync(memory)) return os.tmpdir();
  const { bavail, bsize } = fs.statfsSync(memory);
  return bavail * bsize > 2 ** 31 ? memory : os.tmpdir();
}

/** A new folder that every user can write in, as in /tmp; removed at the end of `t`. */
export function temporaryFolder(t: Test): string {
  const folder = fs.mkdtempSync(path.join(fastestFolder(), 'postbell-test-'));
  fs.chmodSync(folder, 0o1777);
  atEnd(t, () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}
