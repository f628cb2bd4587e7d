// Part of `npm run build`: the example shop of handlers/ as JavaScript in dist/shop/, for `postbell demo` from the package. tsc
// cannot put it there: its imports of src/ must name dist/ afterwards.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

const from = new URL('../handlers/', import.meta.url);
const to = new URL('../dist/shop/', import.meta.url);

mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (!name.endsWith('.ts')) {
    copyFileSync(new URL(name, from), new URL(name, to));
    continue;
  }
  const code = stripTypeScriptTypes(readFileSync(new URL(name, from), 'utf8'))
    .replace("from '../src/", "from '../")
    .replace(/(from '\.[^']*)\.ts'/g, "$1.js'");
  writeFileSync(new URL(name.replace(/\.ts$/, '.js'), to), code);
}
