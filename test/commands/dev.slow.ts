// dev as its users have it: real processes in a project's folder, rung and changed from another terminal.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import t, { type Test } from 'tap';
import { runProgram } from '../../src/commands/program.ts';
import { shell } from '../deploy/deployment.ts';
import { fakeTerminal } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/folders.ts';
import { isRunning, runProcess, startProcess, type TestProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const cliFile = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const api = fileURLToPath(new URL('../../src/index.ts', import.meta.url));
const reloaded = /the worker runs the current handlers/g;

/** A project with one handler, which notes `word` for each payment. */
function createProject(t: Test): string {
  const folder = temporaryFolder(t);
  mkdirSync(path.join(folder, 'handlers'));
  writeTables(folder, 'CREATE TABLE IF NOT EXISTS notes (event_id text, word text);');
  writeHandler(folder, 'first');
  return folder;
}

function writeHandler(folder: string, word: string, table = 'notes'): void {
  replaceFile(
    folder,
    'handlers/index.ts',
    `import { defineHandler } from '${api}';
    export default [defineHandler({
      provider: 'stripe',
      topic: 'payment_intent.succeeded',
      async handle({ event, tx }) {
        await tx.query('INSERT INTO ${table} VALUES ($1, $2)', [event.id, '${word}']);
      },
    })];`,
  );
}

const handlerWithLibrary = `import { defineHandler } from '${api}';
  import { word } from '../lib/word.ts';
  export default [defineHandler({
    provider: 'github',
    topic: 'ping',
    async handle({ event, tx }) {
      await tx.query('INSERT INTO notes VALUES ($1, $2)', [event.id, String(word)]);
    },
  })];`;

/** This repository's compiler and types of Node. */
function installTypeScript(folder: string): void {
  const packages = fileURLToPath(new URL('../../node_modules/', import.meta.url));
  mkdirSync(path.join(folder, 'node_modules/@types'), { recursive: true });
  for (const name of ['typescript', '@types/node'])
    symlinkSync(path.join(packages, name), path.join(folder, 'node_modules', name));
  const options = { module: 'nodenext', target: 'es2024', strict: true, types: ['node'], noEmit: true };
  const compilerOptions = { ...options, allowImportingTsExtensions: true, skipLibCheck: true };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
}

function writeTables(folder: string, sql: string): void {
  replaceFile(folder, 'handlers/tables.sql', sql);
}

/** At once, as editors do: a moment in which the file is empty would be a change of its own. */
function replaceFile(folder: string, name: string, text: string): void {
  const draft = path.join(folder, 'draft');
  writeFileSync(draft, text);
  renameSync(draft, path.join(folder, name));
}

async function startDev(t: Test, folder: string, env: Record<string, string> = {}): Promise<TestProcess> {
  const dev = startProcess(t, ['dev', '--yes'], { cwd: folder, env: { PORT: '0', ...env } });
  await seen(dev, /Postbell is up[\s\S]*postbell status\n/);
  return dev;
}

/** Without tap's loaders, with which TypeScript's program does not start. */
async function startDevAlone(t: Test, folder: string, env: Record<string, string>): Promise<TestProcess> {
  const command = `'${process.execPath}' '${cliFile}' dev --yes`;
  const dev = startProcess(t, ...shell(command, { cwd: folder, env: { PORT: '0', ...env } }));
  await seen(dev, /Postbell is up[\s\S]*postbell status\n/);
  return dev;
}

async function seen(dev: TestProcess, text: RegExp): Promise<RegExpExecArray> {
  return dev.waitForOutput(text);
}

async function seenTimes(dev: TestProcess, text: RegExp, times: number): Promise<void> {
  await waitFor(() => (dev.output().match(text) ?? []).length >= times, { what: `${times} × ${text}` });
}

/** The line that dev prints to be tried, run in another process in the same folder. */
async function ringAsPrinted(dev: TestProcess, folder: string): Promise<string> {
  const [, line] = await seen(dev, /^ +npx postbell (send stripe .+)$/m);
  const { code, stdout, stderr } = await runProcess(line!.split(' '), { cwd: folder });
  if (code !== 0) throw new Error(`${line} ended with ${code}: ${stdout}${stderr}`);
  return /(evt_\w+)/.exec(stdout)![1]!;
}

async function databaseOf(dev: TestProcess): Promise<string> {
  const [, url] = await seen(dev, /psql '(postgres:[^']+)'/);
  return url!;
}

async function query(url: string, sql: string, values: unknown[] = []): Promise<Record<string, string>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** What the handler noted for an event, once it did. */
async function noteOf(url: string, eventId: string, table = 'notes'): Promise<string> {
  const [note] = await waitFor(
    async () => {
      const rows = await query(url, `SELECT word FROM ${table} WHERE event_id = $1`, [eventId]);
      return rows.length > 0 ? rows : undefined;
    },
    { what: 'the handler to note the event' },
  );
  return note!.word!;
}

function childrenOf(pid: number): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=']).toString().trim().split('\n');
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const children = pairs.filter(([, parent]) => parent === pid).map(([child]) => child!);
  return [...children, ...children.flatMap(childrenOf)];
}

t.test(
  'it rings as printed, reloads, keeps the old handlers when the new ones are broken, and stops',
  async (t) => {
    const folder = createProject(t);
    const dev = await startDev(t, folder);
    const { output } = dev;
    const database = await databaseOf(dev);
    t.match(output(), /stripe +http:\/\/127\.0\.0\.1:\d+\/api\/webhooks\/stripe/);
    t.match(output(), /shopify +http:/);
    t.equal(await noteOf(database, await ringAsPrinted(dev, folder)), 'first');
    await seen(dev, /worker +attempt source=stripe .*outcome=processed/);

    const status = await runProcess(['status', '--json'], { cwd: folder });
    t.equal(status.code, 0, status.stderr);
    t.match(status.stdout, /"processed":1/);

    t.test('a new table and a changed handler are loaded', async (t) => {
      writeTables(folder, 'CREATE TABLE IF NOT EXISTS more_notes (event_id text, word text);');
      await seenTimes(dev, reloaded, 2);
      writeHandler(folder, 'second', 'more_notes');
      await seenTimes(dev, reloaded, 3);
      t.equal(await noteOf(database, await ringAsPrinted(dev, folder), 'more_notes'), 'second');
    });

    t.test('handlers that do not load are told, and the ones before go on', async (t) => {
      writeFileSync(path.join(folder, 'handlers/index.ts'), 'export default [oops');
      await seen(dev, /could not be loaded: SyntaxError/);
      await seen(dev, /the old worker keeps running/);
      t.equal(await noteOf(database, await ringAsPrinted(dev, folder), 'more_notes'), 'second');
    });

    t.test('so are tables that do not work', async (t) => {
      writeTables(folder, 'CREATE TABEL oops;'); // before the handlers are whole again: no moment is loadable
      await seen(dev, /syntax error at or near "TABEL"/);
      writeHandler(folder, 'third');
      await seenTimes(dev, /syntax error at or near "TABEL"/g, 2);
      t.equal(await noteOf(database, await ringAsPrinted(dev, folder), 'more_notes'), 'second');
      writeTables(folder, '');
      await seenTimes(dev, reloaded, 4);
      t.equal(await noteOf(database, await ringAsPrinted(dev, folder)), 'third');
    });

    t.test('a second dev in the folder is refused', async (t) => {
      const { code, stdout, stderr } = await runProcess(['dev'], { cwd: folder, env: { PORT: '0' } });
      t.equal(code, 1);
      t.match(stdout + stderr, /is in use by process \d+/);
    });

    t.test('Ctrl-C ends all of it', async (t) => {
      const pids = childrenOf(dev.pid);
      t.ok(pids.length >= 4, 'Postgres, its guardian, web, worker');
      dev.kill('SIGINT');
      t.same(await dev.exited, { code: 0, signal: null });
      t.notOk(pids.some(isRunning));
      t.notOk(existsSync(path.join(folder, '.postbell/running.env')));
      const { code, stderr } = await runProcess(['send', 'stripe', 'invoice.paid'], { cwd: folder });
      t.equal(code, 1);
      t.match(stderr, /the source stripe is not on/);
    });

    t.test('started again, it has the same secrets and the same events', async (t) => {
      const secrets = () => readFileSync(path.join(folder, '.postbell/dev.env'), 'utf8');
      const before = secrets();
      const again = await startDev(t, folder);
      t.equal(secrets(), before);
      const [row] = await query(await databaseOf(again), 'SELECT count(*) FROM webhook_events');
      t.equal(row?.count, '5');
      t.equal(readFileSync(path.join(folder, '.postbell/.gitignore'), 'utf8'), '*\n');
    });
  },
);

t.test('killed, it leaves no process; what is set goes before what it makes up', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const folder = createProject(t);
  const secret = `whsec_${'0f'.repeat(15)}`;
  const dev = await startDev(t, folder, { DATABASE_URL: url, STRIPE_WEBHOOK_SECRET: secret });
  t.match(dev.output(), /psql "\$DATABASE_URL"/);
  t.notMatch(dev.output(), url);
  const kept = readFileSync(path.join(folder, '.postbell/dev.env'), 'utf8');
  t.match(kept, /SHOPIFY_WEBHOOK_SECRET=/);
  t.notMatch(kept, /STRIPE/);
  const env = { STRIPE_WEBHOOK_SECRET: secret };
  const send = await runProcess(['send', 'stripe', 'invoice.paid'], { cwd: folder, env });
  t.equal(send.code, 0, send.stderr);

  const pids = childrenOf(dev.pid);
  t.ok(pids.length >= 2, 'web, worker');
  dev.kill('SIGKILL');
  await waitFor(() => !pids.some(isRunning), { what: 'web and worker to end' });
  // What it could not remove does not mislead anybody.
  t.ok(existsSync(path.join(folder, '.postbell/running.env')));
  const later = await runProcess(['send', 'shopify', 'orders/create'], { cwd: folder });
  t.match(later.stderr, /the source shopify is not on/);
});

t.test('a worker that ends by itself is started again', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const folder = createProject(t);
  const dev = await startDev(t, folder, { DATABASE_URL: url });
  const [, pid] = await seen(dev, /current handlers \(process (\d+)\)/);
  process.kill(Number(pid), 'SIGKILL');
  await seen(dev, /the worker ended \(signal SIGKILL\); dev starts a new worker/);
  t.equal(await noteOf(url, await ringAsPrinted(dev, folder)), 'first');
});

t.test('all code of the project is watched and type-checked; what .env.example names is on', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const folder = createProject(t);
  const untyped = await startDevAlone(t, folder, { DATABASE_URL: url });
  await seen(untyped, /not type-checked: no tsconfig.json/);
  untyped.kill('SIGINT');
  await untyped.exited;

  installTypeScript(folder);
  mkdirSync(path.join(folder, 'lib'));
  replaceFile(folder, 'lib/word.ts', `export const word: string = 'first';`);
  replaceFile(folder, '.env.example', '#GITHUB_WEBHOOK_SECRET=\n#DISCORD_WEBHOOK_SECRET=\n');
  replaceFile(folder, 'handlers/index.ts', handlerWithLibrary);
  const dev = await startDevAlone(t, folder, { DATABASE_URL: url });
  t.match(dev.output(), /send github ping\n.*status\n/);
  t.notMatch(dev.output(), /webhooks\/(stripe|discord)/);
  await seen(dev, /no type errors/);
  replaceFile(folder, 'lib/notes.log', 'no code');
  replaceFile(folder, 'lib/word.ts', `export const word: string = 2;`);
  await seen(dev, /lib\/word.ts\(1,\d+\): error TS2322/);
  await seenTimes(dev, reloaded, 2);
  const send = await runProcess(['send', 'github', 'ping'], { cwd: folder });
  const [, id] = / {2}(\S+)\n$/.exec(send.stdout)!;
  t.equal(await noteOf(url, id!), '2', 'type errors do not stop the worker');
  t.equal(dev.output().match(reloaded)?.length, 2, 'a log is no code');
});

t.test('without handlers, and with a wrong setting, it says what to do', async (t) => {
  const folder = temporaryFolder(t);
  const without = await runProcess(['dev'], { cwd: folder });
  t.equal(without.code, 1);
  t.match(without.stderr, /there are no handlers: make handlers\/index.ts/);
  t.notOk(existsSync(path.join(folder, '.postbell')));
  const wrong = await runProcess(['dev'], {
    cwd: createProject(t),
    env: { PORT: 'x', STRIPE_WEBHOOK_SECRET: 'short' },
  });
  t.equal(wrong.code, 78);
  t.match(wrong.stderr, /PORT must be[\s\S]*STRIPE_WEBHOOK_SECRET/);
});

t.test('a database that it did not make is not migrated unasked', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const folder = createProject(t);
  await query(url, 'CREATE TABLE orders (id int)');
  await query(url, `COMMENT ON TABLE orders IS 'Our own.'`);
  const names = () =>
    query(
      url,
      `SELECT nspname, relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1, 2`,
    );
  const before = await names();

  await t.test('without a terminal it refuses, and says how to agree', async (t) => {
    const { code, stderr } = await runProcess(['dev'], { cwd: folder, env: { DATABASE_URL: url } });
    t.equal(code, 1);
    t.match(
      stderr,
      /DATABASE_URL names the database postbell_test_\w+, which dev did not create.*tables.sql; add --yes/,
    );
    t.same(await names(), before);
  });

  await t.test('at a terminal it asks; no, or the end of the input, leaves the database alone', async (t) => {
    for (const input of ['n\n', '\n', undefined]) {
      const io = { ...fakeTerminal({ DATABASE_URL: url, PORT: '0' }), folder };
      io.input.end(input);
      await t.rejects(runProgram(['dev'], io), { message: /nothing was migrated/ });
      t.match(io.printed.err, /Migrate postbell_test_\w+\? \[y\/N\]/);
      t.same(await names(), before);
    }
  });

  await t.test('yes goes on', async (t) => {
    await query(url, 'CREATE TABLE webhook_events (of_the_team int)');
    const io = { ...fakeTerminal({ DATABASE_URL: url, PORT: '0' }), folder };
    io.input.end('y\n');
    await t.rejects(
      runProgram(['dev'], io),
      { message: /webhook_events \(table\)/ },
      'it came to the migration',
    );
    await query(url, 'DROP TABLE webhook_events');
  });
});

t.test(
  'a database that has all of it needs no question; with a schema of tables.sql missing it does',
  async (t) => {
    const { url } = await createTestDatabase(t);
    const folder = createProject(t);
    const dev = startProcess(t, ['dev'], { cwd: folder, env: { PORT: '0', DATABASE_URL: url } });
    await seen(dev, /Postbell is up/);
    dev.kill('SIGINT');
    await dev.exited;
    writeTables(folder, 'CREATE SCHEMA IF NOT EXISTS of_an_example;');
    const { code, stderr } = await runProcess(['dev'], { cwd: folder, env: { DATABASE_URL: url } });
    t.equal(code, 1);
    t.match(stderr, /add --yes/);
    t.same(await query(url, `SELECT to_regnamespace('of_an_example') AS made`), [{ made: null }]);
  },
);
