// A copy of our source that is changed in places: for mutants of the ledger, and for releases that do not exist yet.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { atEnd } from '../../support/at-end.ts';

const ownRoot = fileURLToPath(new URL('../../../', import.meta.url));

export interface Edit {
  /** Relative to the root. */
  file: string;
  /** Must be there exactly once: an edit that no longer fits is an error. */
  find: string;
  replace: string;
}

/** @returns the root of the copy; removed at the end of `t` */
export function copySource(t: Test, edits: readonly Edit[] = []): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'postbell-copy-'));
  atEnd(t, () => rmSync(root, { recursive: true, force: true }));
  for (const folder of ['src', 'sql', 'test/faults', 'test/support', 'test/providers'])
    cpSync(path.join(ownRoot, folder), path.join(root, folder), { recursive: true });
  cpSync(path.join(ownRoot, 'package.json'), path.join(root, 'package.json'));
  symlinkSync(path.join(ownRoot, 'node_modules'), path.join(root, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const text = readFileSync(path.join(root, file), 'utf8');
    const parts = text.split(find);
    if (parts.length !== 2)
      throw new Error(
        `${file} holds ${parts.length - 1} times, not once: ${find.slice(0, 80)}; bring the edit up to date`,
      );
    writeFileSync(path.join(root, file), parts.join(replace));
  }
  return root;
}
