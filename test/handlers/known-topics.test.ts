// What an editor completes is current.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { knownTopicsFile, knownTopicsText } from '../known-topics.ts';

t.test('the names are those of the registry', async (t) => {
  t.equal(readFileSync(knownTopicsFile, 'utf8'), knownTopicsText(), 'else run npx node test/known-topics.ts');
});
