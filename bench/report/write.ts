// Writes results.json, results.md and results.svg.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { System } from '../systems/system.ts';
import { chart } from './chart.ts';
import { markdown } from './markdown.ts';
import type { Results } from './results.ts';

/** @returns the files */
export function writeResults(folder: string, results: Results, systems: readonly System[]): string[] {
  mkdirSync(folder, { recursive: true });
  const files = {
    'results.json': `${JSON.stringify(results, null, 2)}\n`,
    'results.md': markdown(results, systems),
    'results.svg': chart(results, systems),
  };
  return Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  });
}
