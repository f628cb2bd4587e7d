// SECURITY.md claims nothing without a test: the files and rows that it names exist.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { configKeys } from '../src/config.ts';
import { allRows as rows } from './bad-input/all-rows.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const text = readFileSync(`${root}SECURITY.md`, 'utf8');
const [, defended = ''] = /## What is defended\n([\s\S]*?)\n## /.exec(text) ?? [];
const table = defended
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| threat'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

t.test('every defence names tests that exist', (t) => {
  t.ok(table.length > 15);
  for (const [, threat = '', , tests = ''] of table) {
    const files = [...tests.matchAll(/`([^`]+)`/g)].map(([, file]) => file!);
    const numbers = [...tests.matchAll(/B(\d+)(?:-B(\d+))?/g)].flatMap(([, from, to = from]) =>
      Array.from({ length: Number(to) - Number(from) + 1 }, (_, n) => Number(from) + n),
    );
    t.ok(files.length + numbers.length > 0, threat);
    for (const file of files) t.ok(/^test\/.*\.(test|slow)\.ts$/.test(file) && existsSync(root + file), file);
    for (const number of numbers)
      t.ok(rows.find(({ id }) => id === `B${number}`)?.check, `${threat}: B${number} is checked`);
  }
  t.end();
});

t.test('every file and setting that it mentions exists', (t) => {
  for (const [, word = ''] of text.matchAll(/`([^`\s]+)`/g)) {
    if (/^(test|src|docs)\//.test(word)) t.ok(existsSync(root + word), word);
    if (/^[A-Z]+_[A-Z_]+$/.test(word)) t.ok((configKeys as string[]).includes(word), word);
  }
  for (const [, file = ''] of text.matchAll(/\]\(([^)#]+)\)/g)) t.ok(existsSync(root + file), file);
  t.end();
});
