// The team's module in every form that a build gives it, and the errors of one that cannot be loaded.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync, type Format } from 'esbuild';
import t, { type Test } from 'tap';
import { defineHandler } from '../../src/handlers/handler.ts';
import { checkHandlers } from '../../src/handlers/load.ts';
import { temporaryFolder } from '../support/folders.ts';
import { runProcess } from '../support/processes.ts';

const library = fileURLToPath(new URL('../../src/index.ts', import.meta.url));
const loadEach = fileURLToPath(new URL('./load-each.ts', import.meta.url));
const ownCode = /\/src\/|node:internal|^\s+at /m;

function writeFiles(t: Test, files: Record<string, string>): string {
  const folder = temporaryFolder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const handlers = `[{ provider: 'stripe', topic: '*', async handle() {} }]`;
const asModule = `
  import { defineHandler } from '${library}';
  export default [defineHandler({ provider: 'stripe', topic: '*', async handle() {} })];`;
const bundled = (folder: string, format: Format, outfile: string) =>
  buildSync({
    ...{ entryPoints: [join(folder, 'source.ts')], outfile: join(folder, outfile), bundle: true },
    ...{ platform: 'node', target: 'node22', format, logLevel: 'error' },
  });

/** In one process, without the loaders of tap. @returns of each the number of its handlers, or its error */
async function loadAll(paths: readonly string[]): Promise<(number | string)[]> {
  const { stdout, stderr, code } = await runProcess(paths, { script: loadEach });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as (number | string)[];
}

t.test('every form of a build is loaded', async (t) => {
  const compiled = `"use strict"; Object.defineProperty(exports, "__esModule", { value: true });`;
  const folder = writeFiles(t, {
    'source.ts': asModule,
    'compiled.cjs': `${compiled} exports.default = ${handlers};`,
    'twice.cjs': `${compiled} exports.default = { __esModule: true, default: ${handlers} };`,
    'named.cjs': `${compiled} exports.handlers = ${handlers};`,
    'plain.cjs': `module.exports = ${handlers};`,
    'commonjs/package.json': '{ "type": "commonjs" }',
    'commonjs/index.js': `${compiled} exports.default = require('./list.js').default;`,
    'commonjs/list.js': `${compiled} exports.default = ${handlers};`,
    'commonjs/index.ts': `export = ${handlers};`.replace('export =', 'module.exports ='),
  });
  bundled(folder, 'cjs', 'bundle.cjs');
  bundled(folder, 'esm', 'bundle.mjs');
  const paths = [
    'source.ts',
    'compiled.cjs',
    'twice.cjs',
    'named.cjs',
    'plain.cjs',
    'bundle.cjs',
    'bundle.mjs',
  ];
  paths.push('commonjs/index.js', 'commonjs/index.ts');
  const loaded = await loadAll(paths.map((path) => join(folder, path)));
  t.same(
    Object.fromEntries(paths.map((path, place) => [path, loaded[place]])),
    Object.fromEntries(paths.map((path) => [path, 1])),
  );
});

const broken = 'const list = [];\nexport default [list ; ];\n';
const missing = "import { readFile } from 'node:fs';\n";
const defined = `import { defineHandler } from '${library}';\nexport default [\n`;
/** By what is wrong: the files, of which the first is loaded; the reason; the place; the line with its caret. */
const cases: Record<string, [files: Record<string, string>, reason: string, place: string, shown: string]> = {
  'TypeScript that cannot be parsed': [
    { 'a.ts': broken },
    "SyntaxError: Expected ',', got ';' (ERR_INVALID_TYPESCRIPT_SYNTAX)",
    'a.ts:2',
    'export default [list ; ];\n                     ^',
  ],
  'TypeScript that needs a compiler': [
    { 'a.ts': '\nexport enum Color { Red }\n' },
    'SyntaxError: TypeScript enum is not supported in strip-only mode',
    'a.ts:2',
    'export enum Color { Red }\n       ^',
  ],
  'an ES module that cannot be parsed': [
    { 'a.mjs': broken },
    "SyntaxError: Unexpected token ';'",
    'a.mjs:2',
    'export default [list ; ];\n                     ^',
  ],
  'an ES module that another one imports': [
    { 'a.ts': "import './b.ts';\nexport default [];", 'b.ts': "import './c/c.mjs';", 'c/c.mjs': broken },
    "SyntaxError: Unexpected token ';'",
    'c/c.mjs:2',
    'export default [list ; ];\n                     ^',
  ],
  'CommonJS that cannot be parsed': [
    { 'a.cjs': 'module.exports = [[] ; ];' },
    "SyntaxError: Unexpected token ';'",
    'a.cjs:1',
    'module.exports = [[] ; ];\n                     ^',
  ],
  'an error while the module runs': [
    { 'a.ts': "import './b.ts';", 'b.ts': 'const a: unknown = undefined;\n(a as { b: string }).b;' },
    "TypeError: Cannot read properties of undefined (reading 'b')",
    'b.ts:2',
    '(a as { b: string }).b;\n                     ^',
  ],
  'a handler that defineHandler refuses': [
    { 'a.ts': `${defined}  defineHandler({ provider: 'stripe' }),\n];` },
    'TypeError: defineHandler: topic must be exact',
    'a.ts:3',
    "  defineHandler({ provider: 'stripe' }),\n  ^",
  ],
  'a file that does not exist': [
    { 'a.ts': `${missing}import list from './lib/none.ts';\nexport default list;` },
    'Error: Cannot find module',
    'a.ts:2',
    "import list from './lib/none.ts';\n                  ^",
  ],
  'a package that is not installed': [
    { 'a.ts': `${missing}import list from '@acme/none/list';\nexport default list;` },
    "Error: Cannot find package '@acme/none'",
    'a.ts:2',
    "import list from '@acme/none/list';\n                  ^",
  ],
  'a required package that is not installed': [
    { 'a.cjs': "\nconst list = require('acme-none');" },
    "Error: Cannot find module 'acme-none'",
    'a.cjs:2',
    "const list = require('acme-none');\n             ^",
  ],
  'an export that does not exist': [
    { 'a.ts': "import { nope } from './b.ts';\nexport default nope;", 'b.ts': 'export const yes = 1;' },
    "SyntaxError: The requested module './b.ts' does not provide an export named 'nope'",
    'a.ts:1',
    "import { nope } from './b.ts';\n         ^",
  ],
};

t.test('errors name file, line and caret, without a stack', async (t) => {
  const folders = Object.values(cases).map(([files]) => writeFiles(t, files));
  const errors = await loadAll(
    Object.values(cases).map(([files], place) => join(folders[place]!, Object.keys(files)[0]!)),
  );
  for (const [index, [title, [, reason, place, shown]]] of Object.entries(cases).entries()) {
    const text = String(errors[index]);
    t.ok(text.includes(`could not be loaded: ${reason}`), `${title}: ${text}`);
    t.ok(text.endsWith(`\n${folders[index]}/${place}\n${shown}`), `${title}: ${text}`);
    t.notMatch(text.replaceAll(folders[index]!, ''), ownCode);
  }
});

/** Starts a worker, which must end before it needs a database. @returns what it printed */
async function failToStart(t: Test, files: Record<string, string>, code: number) {
  const folder = writeFiles(t, files);
  const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', POSTBELL_HANDLERS: 'a.ts' };
  const ended = await runProcess(['worker'], { cwd: folder, env });
  t.equal(ended.code, code, ended.stderr);
  return ended.stderr.replaceAll(`${folder}/`, '');
}

t.test('a worker does not start with a module that fails, or for an unknown provider', async (t) => {
  const failing = await failToStart(t, { 'a.ts': "throw new Error('no config');" }, 1);
  t.equal(
    failing,
    "the handlers in a.ts could not be loaded: Error: no config\na.ts:1\nthrow new Error('no config');\n      ^\n",
  );
  const handlerOf = (name: string) => `{ provider: '${name}', topic: '*', async handle() {} }`;
  const unknown = `export default [${handlerOf('strpe')}, ${handlerOf('our-own-billing-system')}];`;
  t.equal(
    await failToStart(t, { 'a.ts': unknown }, 78),
    `a.ts, handler 1: there is no provider "strpe"; did you mean stripe?\n` +
      `a.ts, handler 2: there is no provider "our-own-billing-system"; all providers: postbell providers\n`,
  );
});

t.test('a name is plain, and no two handlers have the same', (t) => {
  const rest = { provider: 'stripe', topic: '*', handle: async () => {} };
  for (const name of ['', 'charge orders', 'x'.repeat(101), 5])
    t.throws(() => defineHandler({ ...rest, name: name as string }), /name must have 1 to 100/);
  const [charge, mail] = [
    defineHandler({ ...rest, name: 'charge' }),
    defineHandler({ ...rest, name: 'mail' }),
  ];
  t.equal(checkHandlers([charge, mail, rest, rest], 'list').length, 4);
  t.throws(() => checkHandlers([charge, mail, charge], 'list'), /list: two handlers have the name "charge"/);
  t.end();
});
