// .env.example tells of every setting, with the default that it has.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Config, configKeys, parseConfig } from '../../src/config.ts';
import { genericSettings } from '../../src/providers/catalogue/generic-settings.ts';

const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
const lines = new Map([...text.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));

t.test('every setting is there with its default', async (t) => {
  const defaults = parseConfig({}).config as Config;
  for (const name of configKeys) {
    t.ok(lines.has(name), name);
    if (defaults[name] !== undefined) t.equal(lines.get(name), String(defaults[name]), name);
  }
});

t.test('every variable of a generic source is there', async (t) => {
  for (const name of genericSettings) t.ok(lines.has(`ACME_${name}`), name);
});

t.test('as it stands it sets nothing', async (t) => {
  t.notMatch(text, /^[^#\n]/m);
});
