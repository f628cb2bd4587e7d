// The packed package in a team's own project, by npm and by pnpm: what it holds, its types, its program. Needs npm's registry.
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { createProject, packedPackage, run } from '../deploy/deployment.ts';

/** Not packages of development: they would be 150 more, for this file alone. */
const checkers = { publint: '0.3.25', '@arethetypeswrong/cli': '0.18.5' };
const pnpm = 'pnpm@12.21.0';
const root = new URL('../../', import.meta.url);
const read = (file: string) => fs.readFileSync(new URL(file, root), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  version: string;
  devDependencies: Record<string, string>;
};

const tarball = await packedPackage(t);

t.test('npm pack builds, and takes along what a team needs and nothing else', async (t) => {
  const lines = (await run(path.dirname(tarball), `tar -tvf '${tarball}'`)).trim().split('\n');
  const files = lines.map((line) => line.replace(/^.* package\//, ''));
  const expected = [
    '.env.example',
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'dist/cli.js',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/shop/index.js',
    'dist/shop/tables.sql',
    ...['docs', 'sql', 'templates'].flatMap((folder) =>
      // Without the pictures of docs/.
      fs
        .readdirSync(new URL(folder, root), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => `${folder}/${name}`),
    ),
  ];
  for (const file of expected) t.ok(files.includes(file), file);
  const places = new Set(files.map((file) => file.split('/')[0]));
  t.same([...places].sort(), [
    '.env.example',
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'deploy',
    'dist',
    'docs',
    'package.json',
    'sql',
    'templates',
  ]);
  const bin = lines.find((line) => line.endsWith(' package/dist/cli.js'))!;
  t.match(bin, /^-rwxr-xr-x/, 'the program is executable');
});

const handlers = `
import { defineHandler, type Handler, type HandlerTransaction, Later, type Logger } from 'postbell';
import type { Logger as OwnLogger } from 'pino';
import { z } from 'zod';

const payment = z.object({ data: z.object({ object: z.object({ id: z.string(), amount: z.number() }) }) });

async function markPaid(tx: HandlerTransaction, id: string, log: OwnLogger): Promise<number> {
  const { rows } = await tx.query<{ id: number }>('UPDATE orders SET paid = true WHERE payment = $1 RETURNING id', [id]);
  log.info({ id }, 'paid');
  return rows.length;
}
const note = (log: Logger, bytes: Uint8Array | null) => log.debug({ bytes: bytes?.length ?? 0 });

export const paid: Handler = defineHandler({
  provider: 'stripe',
  topic: 'payment_intent.succeeded',
  payload: payment,
  entity: (payload) => payload.data.object.id,
  async handle({ event, payload, tx, log, signal }) {
    signal.throwIfAborted();
    note(log, event.rawBody);
    const amount: number = payload.data.object.amount;
    // @ts-expect-error: the payload has the type of its schema
    const wrong: string = payload.data.object.amount;
    if ((await markPaid(tx, payload.data.object.id, log)) === 0)
      throw new Later({ afterSeconds: 60, reason: \`no order of \${amount} \${wrong}\` });
  },
});
export const anything = defineHandler({
  provider: 'github',
  topic: '*',
  async handle({ payload }) {
    const unknownPayload: unknown = payload;
    // @ts-expect-error: without a schema the payload is unknown
    payload.action;
    return unknownPayload;
  },
});
`;
const files: Record<string, string> = {
  'handlers/index.ts': `${handlers}export default [paid, anything];`,
  'commonjs/index.cts': handlers,
  'run-commonjs.cjs': `
    const { paid, anything } = require('./commonjs/index.cjs');
    console.log(typeof require('postbell').defineHandler, paid.topic, anything.provider);`,
};
const compilerOptions = {
  strict: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  target: 'es2024',
  types: ['node'],
};
const configs: Record<string, object> = {
  'tsconfig.json': {
    compilerOptions: { ...compilerOptions, module: 'nodenext' },
    include: ['handlers', 'commonjs'],
  },
  'tsconfig.bundler.json': {
    compilerOptions: { ...compilerOptions, module: 'esnext', moduleResolution: 'bundler', noEmit: true },
    include: ['handlers'],
  },
};

/** The team's own zod, pino and pg, of other versions than Postbell's: two copies of each. */
const team = {
  private: true,
  type: 'module',
  dependencies: { postbell: `file:${tarball}`, zod: '4.0.17', pino: '10.0.0', pg: '8.16.3' },
};
const types = pinned('@types/node', 'typescript');

t.test(
  'npm: publint and attw have no remark; old and new TypeScript compile; ESM and CommonJS run',
  async (t) => {
    const devDependencies = { ...types, ...checkers, 'typescript-5': 'npm:typescript@5.9.3' };
    const project = createProject(t, { ...team, devDependencies });
    writeFiles(project);
    await run(project, 'npm install --ignore-scripts');
    await run(project, `npx --no-install publint run --strict '${tarball}'`);
    // There is no build for CommonJS: every Node that Postbell runs on can `require` ESM, and a second copy would be a second program.
    const rules = '--profile node16 --ignore-rules cjs-resolves-to-esm';
    await run(project, `npx --no-install attw '${tarball}' ${rules}`);
    t.notOk(fs.existsSync(path.join(project, 'node_modules/@types/pg')), 'without @types/pg');
    for (const typescript of ['typescript', 'typescript-5'])
      for (const config of Object.keys(configs))
        await run(project, `node node_modules/${typescript}/bin/tsc -p ${config}`);
    await runProgram(t, project);
  },
);

t.test('pnpm: packages that nobody named are out of reach, and all works', async (t) => {
  const project = createProject(t, { ...team, devDependencies: types });
  writeFiles(project);
  await run(project, `npm exec --yes -- ${pnpm} install --ignore-scripts --store-dir .pnpm-store`);
  t.notOk(fs.existsSync(path.join(project, 'node_modules/fastify')));
  await run(project, 'node node_modules/typescript/bin/tsc -p tsconfig.json');
  await runProgram(t, project);
});

t.test('CHANGELOG.md has the version of package.json at its top', (t) => {
  const [, heading = ''] = /^## (.*)$/m.exec(read('CHANGELOG.md')) ?? [];
  t.equal(heading.split(' ')[0], manifest.version);
  t.match(heading, /^[0-9.]+ \((unreleased|\d{4}-\d\d-\d\d)\)$/);
  t.end();
});

/** Versions of packages, as in this repository's devDependencies. */
function pinned(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]!]));
}

function writeFiles(project: string): void {
  const texts = Object.entries(configs).map(([name, config]) => [name, JSON.stringify(config)] as const);
  for (const [name, text] of [...Object.entries(files), ...texts]) {
    fs.mkdirSync(path.join(project, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(project, name), text);
  }
}

async function runProgram(t: Test, project: string): Promise<void> {
  t.match(await run(project, 'npx --no-install postbell --help'), /^Usage: postbell/);
  t.equal((await run(project, 'npx --no-install postbell --version')).trim(), manifest.version);
  const esm = `import list from './handlers/index.js'; console.log(list.length)`;
  t.equal((await run(project, `node --input-type=module --eval "${esm}"`)).trim(), '2');
  const commonjs = await run(project, 'node run-commonjs.cjs');
  t.equal(commonjs.trim(), 'function payment_intent.succeeded github');
}
