// The packed package, installed in an empty project: handlers of every kind, and the Node it refuses.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import t, { type Test } from 'tap';
import { signDelivery } from '../../src/providers/index.ts';
import { parseSources, variableOf } from '../../src/providers/sources.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { plainEnvironment, runProcess, startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { installPackage, productionEnvironment, shell, testNode } from './deployment.ts';

const { url } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
const project = await installPackage(t);

/** Where a team's handlers may come from: a source of that name for each. */
const kinds = ['typescript', 'commonjs', 'second-copy', 'bundle', 'commonjs-bundle'] as const;
const production = productionEnvironment();
const sourceSettings: Record<string, string> = {
  POSTBELL_SOURCES: kinds.map((kind) => `${kind}=stripe`).join(),
  ...Object.fromEntries(kinds.map((kind) => [`${variableOf(kind)}_WEBHOOK_SECRET`, `whsec_of_${kind}_0000`])),
};
const { sources } = parseSources(sourceSettings);
const env = {
  ...production,
  ...sourceSettings,
  DATABASE_URL: url,
  HOST: '127.0.0.1',
  PORT: '0',
  POLL_SECONDS: '1',
};
const postbell = (args: string, more: Record<string, string> = {}) =>
  shell(`node_modules/.bin/postbell ${args}`, { cwd: project, env: { ...env, ...more } });

const listFor = (source: (typeof kinds)[number]) => `
const handler = (topic, handle) => defineHandler({ provider: 'stripe', source: '${source}', topic, handle });
const list = [
  handler('test.done', ({ event, tx }) => tx.query('INSERT INTO effects VALUES ($1, $2)', [event.source, event.id])),
  handler('test.later', async () => {
    throw new Later({ afterSeconds: 3_600, reason: 'its order is not here yet' });
  }),
  handler('test.permanent', async () => {
    throw new PermanentError('its order was deleted');
  }),
  handler('test.wrong-time', async () => {
    throw Object.assign(new Later(), { afterSeconds: 'a-secret-time' });
  }),
];
`;
const names = '{ defineHandler, Later, PermanentError }';
const esm = (source: (typeof kinds)[number]) =>
  `import ${names} from 'postbell';${listFor(source)}export default list;`;

/** By their places in the project. `second-copy` finds an installation of its own. */
const files: Record<string, string> = {
  'handlers/typescript.ts': esm('typescript')
    .replace('(topic,', '(topic: string,')
    .replace(' handle)', ' handle: never)'),
  'handlers/commonjs.cjs': `const ${names} = require('postbell');${listFor('commonjs')}module.exports = list;`,
  'second-copy/handlers.mjs': esm('second-copy'),
  'sources/bundle.mjs': esm('bundle'),
  'sources/commonjs-bundle.mjs': esm('commonjs-bundle'),
  'handlers/index.ts': `
    import typescript from './typescript.ts';
    import commonjs from './commonjs.cjs';
    import secondCopy from '../second-copy/handlers.mjs';
    import bundle from '../bundled/handlers.mjs';
    export default [...typescript, ...commonjs, ...secondCopy, ...bundle];`,
};
for (const [name, text] of Object.entries(files)) {
  fs.mkdirSync(path.join(project, path.dirname(name)), { recursive: true });
  fs.writeFileSync(path.join(project, name), text);
}
const secondCopy = path.join(project, 'second-copy/node_modules/postbell');
fs.cpSync(path.join(project, 'node_modules/postbell'), secondCopy, { recursive: true });
for (const [format, source, outfile] of [
  ['esm', 'sources/bundle.mjs', 'bundled/handlers.mjs'],
  ['cjs', 'sources/commonjs-bundle.mjs', 'bundled/handlers.cjs'],
] as const) {
  buildSync({
    entryPoints: [path.join(project, source)],
    outfile: path.join(project, outfile),
    bundle: true,
    platform: 'node',
    format,
    logLevel: 'error',
  });
}

t.test('handlers of every kind may throw Later and PermanentError', async (t) => {
  const migrated = await runProcess(...postbell('migrate'));
  t.equal(migrated.code, 0, migrated.stderr);
  await sql('CREATE TABLE effects (source text, event_id text)');
  const web = startProcess(t, ...postbell('web'));
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await web.waitForLog('ready');
  const bundle = fs.readFileSync(path.join(project, 'bundled/handlers.cjs'), 'utf8');
  t.ok(bundle.includes('Symbol.for("postbell.Later")'), 'a bundle has a copy of its own');

  await t.test('handlers/index.ts, found by itself, with four kinds', async (t) => {
    const worker = startProcess(t, ...postbell('worker'));
    t.match(await worker.waitForLog('ready'), { handlers: 16 });
    for (const kind of kinds.slice(0, 4)) await runAll(t, kind, String(address));
  });
  await t.test('a CommonJS bundle, named by POSTBELL_HANDLERS', async (t) => {
    const worker = startProcess(t, ...postbell('worker', { POSTBELL_HANDLERS: 'bundled/handlers.cjs' }));
    t.match(await worker.waitForLog('ready'), { handlers: 4 });
    await runAll(t, 'commonjs-bundle', String(address));
  });
});

/** Sends each topic and looks at what became of it. */
async function runAll(t: Test, kind: (typeof kinds)[number], address: string): Promise<void> {
  const source = sources.get(kind)!;
  for (const topic of ['test.done', 'test.later', 'test.permanent', 'test.wrong-time']) {
    const body = { id: topic, object: 'event', type: topic, created: 1_750_000_000, data: {} };
    const url = `${address}/api/webhooks/${kind}`;
    const sent = signDelivery(source, {
      topic,
      body: Buffer.from(JSON.stringify(body)),
      now: new Date(),
      url,
    });
    const { status } = await fetch(sent.url, { ...sent, body: new Uint8Array(sent.body) });
    t.equal(status, 200);
  }
  const rowOnceRun = (topic: string) =>
    waitFor(
      async () =>
        (
          await sql(
            `SELECT status, attempts, deferrals, last_error,
               (SELECT count(*)::int FROM effects f WHERE (f.source, f.event_id) = (e.source, e.event_id)) AS effects
             FROM webhook_events e WHERE source = $1 AND event_id = $2 AND attempts + deferrals > 0`,
            [kind, topic],
          )
        )[0],
      { what: `${kind} ${topic} to be run`, timeoutMs: 60_000 },
    );
  t.match(await rowOnceRun('test.done'), { status: 'PROCESSED', effects: 1 }, kind);
  t.match(await rowOnceRun('test.later'), { status: 'PENDING', attempts: 0, deferrals: 1, last_error: null });
  const permanent = { status: 'FAILED', attempts: 1, last_error: 'PermanentError: its order was deleted' };
  t.match(await rowOnceRun('test.permanent'), permanent);
  t.match(await rowOnceRun('test.wrong-time'), {
    status: 'PENDING',
    attempts: 1,
    deferrals: 0,
    last_error: 'RangeError: Later: afterSeconds is of type string; use 1 to 2592000',
  });
}

const { engines } = JSON.parse(
  fs.readFileSync(path.join(project, 'node_modules/postbell/package.json'), 'utf8'),
) as { engines: { node: string } };

/** @param more makes `node` an older one */
async function refuses(t: Test, version: string, more: Record<string, string>): Promise<void> {
  const needed = `postbell needs Node ${engines.node.replace('>=', '')}`;
  for (const verb of ['web', 'worker', '--help']) {
    const { code, stdout, stderr } = await runProcess(...postbell(verb, more));
    t.equal(code, 1, verb);
    t.equal(stdout, '');
    t.ok(stderr.startsWith(needed), stderr);
    t.ok(stderr.includes(`this is Node ${version}`), stderr);
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line');
  }
  const importing = `node --input-type=module --eval "import 'postbell'; console.log('loaded')"`;
  const library = await runProcess(...shell(importing, { cwd: project, env: { ...env, ...more } }));
  t.equal(library.code, 1);
  t.equal(library.stdout, '');
  t.ok(library.stderr.includes(needed), library.stderr);
}

t.test('README and the package name the same oldest Node', (t) => {
  const readme = fs.readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  t.ok(readme.includes(`needs Node ${engines.node.replace('>=', '')} or newer`));
  t.end();
});

t.test('a Node that says it is older is refused', async (t) => {
  const preload = path.join(project, 'older.mjs');
  fs.writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.99.1' } });`,
  );
  const node = path.join(project, 'older/node');
  fs.mkdirSync(path.dirname(node));
  fs.writeFileSync(node, `#!/bin/sh\nexec '${testNode}' --import '${preload}' "$@"\n`, { mode: 0o755 });
  await refuses(t, '20.99.1', { PATH: `${path.dirname(node)}:${production.PATH}` });
});

t.test('an older Node of this machine is refused', async (t) => {
  const older = findOlderNode();
  if (!older) {
    t.pass('not tried: no folder of the PATH has a node older than the package needs', { skip: true });
    return;
  }
  await refuses(t, older.version, { PATH: `${older.folder}:${production.PATH}` });
});

function findOlderNode(): { folder: string; version: string } | undefined {
  const [oldestMajor = 0] = engines.node.replace('>=', '').split('.').map(Number);
  for (const folder of (plainEnvironment().PATH ?? '').split(path.delimiter)) {
    const node = path.join(folder, 'node');
    if (!fs.existsSync(node)) continue;
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
    if (Number.parseInt(version, 10) < oldestMajor) return { folder, version };
  }
  return undefined;
}

t.test(
  'the types of no export lead to those of pg, pg-boss or zod, which a team does not have',
  async (t) => {
    const { exports } = JSON.parse(
      fs.readFileSync(path.join(project, 'node_modules/postbell/package.json'), 'utf8'),
    );
    const names = Object.keys(exports).filter((name) => name !== './package.json');
    fs.writeFileSync(
      path.join(project, 'exports.ts'),
      names.map((name, index) => `export * as x${index} from 'postbell${name.slice(1)}';\n`).join(''),
    );
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const options =
      '--noEmit --strict --skipLibCheck --listFiles --target es2024 --module nodenext --types node';
    const tsc = `'${testNode}' '${root}node_modules/typescript/bin/tsc' ${options} --typeRoots '${root}node_modules/@types' exports.ts`;
    const { code, stdout } = await runProcess(...shell(tsc, { cwd: project }));
    t.equal(code, 0, stdout.slice(0, 1_000));
    const read = stdout.split('\n');
    t.ok(read.some((file) => file.endsWith('postbell/dist/testing/types.d.ts')));
    t.same(
      read.filter((file) => /\/node_modules\/(@types\/pg|pg|pg-boss|zod)\//.test(file)),
      [],
    );
  },
);
