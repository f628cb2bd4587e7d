// The harness itself: databases, the Postgres of a run, processes and waiting.
import fs from 'node:fs';
import pg from 'pg';
import t, { type Test } from 'tap';
import { stopCluster } from './support/cluster-client.ts';
import { createTestDatabase, testServerUrl } from './support/database.ts';
import { isRunning, runProcess, startProcess } from './support/processes.ts';
import { waitFor } from './support/wait.ts';

const script = new URL('./support/example-test.ts', import.meta.url).pathname;
const sleeper = new URL('./support/wait-for-kill.ts', import.meta.url).pathname;
const server = await testServerUrl();
const own = { script, env: { TEST_DATABASE_URL: server } };

async function exists(database: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
  await client.end();
  return rowCount === 1;
}

/** Runs the example test file to its end. */
async function runExample(manner: string) {
  const result = await runProcess([manner], own);
  const line = result.stdout.split('\n').find((text) => text.startsWith('{')) ?? '{}';
  return { ...result, database: String(JSON.parse(line).database) };
}

t.test('every test gets a migrated database of its own', async (t) => {
  const one = await createTestDatabase(t);
  const two = await createTestDatabase(t);
  t.not(one.name, two.name);
  t.match(one.name, /^postbell_test_harness_[0-9a-f]{8}$/, 'named for its file');
  for (const { url } of [one, two]) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('CREATE TABLE mine ()');
    t.equal((await client.query('SELECT FROM webhook_events')).rowCount, 0);
    t.ok((await client.query('SELECT FROM pgboss.version')).rowCount);
    await client.end();
  }
});

t.test('a database is dropped when its file passes', async (t) => {
  const { code, database } = await runExample('migrated');
  t.equal(code, 0);
  t.notOk(await exists(database));
});

t.test('a database is kept, and named, when its file fails', async (t) => {
  const { code, database, stderr } = await runExample('fails');
  t.equal(code, 1);
  t.ok(await exists(database));
  t.match(stderr, `kept the database ${database}`);
});

t.test('a session that was left open fails the file', async (t) => {
  const { code, stderr } = await runExample('leaves-session');
  t.equal(code, 1);
  t.match(stderr, /left open on postbell_test_\w+: .*idle, SHOW data_directory/);
});

t.test('a server that was left open fails the file instead of hanging it', async (t) => {
  const { code, stderr } = await runExample('leaves-server');
  t.equal(code, 1);
  t.match(stderr, /still open: TCPServerWrap/);
});

t.test('every clean-up runs, last first, and one that fails fails the file', async (t) => {
  const { code, stdout, stderr, database } = await runExample('clean-ups');
  t.equal(code, 1);
  t.match(stdout, /third[\s\S]*first/);
  t.match(stderr, 'Error: second');
  t.notOk(await exists(database), 'the database was dropped after it');
});

t.test('a run has one Postgres, which ends with it', async (t) => {
  const asFileOfThisRun = { script, env: { TAP: '1', TAP_CHILD_ID: '1' } };
  const files = ['one', 'two', 'three'].map((name) => startProcess(t, [name], asFileOfThisRun));
  const lines = await Promise.all(files.map((file) => file.waitForLog('ready')));
  const folders = new Set(lines.map((line) => String(line.dataDir)));
  t.equal(folders.size, 1, 'shared by files that start at once');
  await Promise.all(files.map((file) => file.exited));
  const [dataDir] = folders;
  t.ok(fs.existsSync(dataDir!), 'it stays until the run is over');
  await stopCluster(process.pid);
  t.notOk(fs.existsSync(dataDir!));
});

for (const end of ['SIGKILL', 'SIGTERM'] as const) {
  t.test(`the Postgres of a run that ends by ${end} is gone`, async (t) => {
    const run = startProcess(t, ['stays'], { script });
    const { dataDir } = await run.waitForLog('ready');
    const pidFile = `${dataDir}/postmaster.pid`;
    const pid = Number(fs.readFileSync(pidFile, 'utf8').split('\n')[0]);
    t.ok(isRunning(pid));
    run.kill(end);
    await run.exited;
    t.ok(
      await waitFor(() => !isRunning(pid) && !fs.existsSync(String(dataDir)), {
        what: 'Postgres to be gone',
      }),
    );
  });
}

t.test('a process that a killed test had started is gone', async (t) => {
  const file = startProcess(t, ['process-stays'], own);
  const { startedPid } = await file.waitForLog('started');
  file.kill('SIGKILL');
  await file.exited;
  t.ok(await waitFor(() => !isRunning(Number(startedPid)), { what: 'the process to be gone' }));
});

t.test('a process that fails by itself fails the file', async (t) => {
  const { code, stderr } = await runExample('process-fails');
  t.equal(code, 1);
  t.match(stderr, /postbell fail ended by itself \(exit code 7\)/);
});

t.test('a log line is waited for, and an end without it is told', async (t) => {
  const stays = startProcess(t, [], { script: sleeper });
  t.strictSame(await stays.waitForLog((line) => line.msg === 'waiting'), { msg: 'waiting' });
  await t.rejects(
    stays.waitForLog('never', { timeoutMs: 50 }),
    /has not logged never within 50 ms; its output:\n/,
  );
  const missed = stays.waitForLog('never');
  stays.kill('SIGKILL');
  await t.rejects(missed, /ended \(signal SIGKILL\) before it logged never/);
  t.match(stays.output(), 'not a log line');
});

t.test('waiting fails with what was waited for and the last value or error', async (t: Test) => {
  const answers = [false, undefined, 'there'];
  t.equal(await waitFor(() => answers.shift(), { what: 'the third answer', intervalMs: 1 }), 'there');
  await t.rejects(
    waitFor(() => 0, { what: 'rain', timeoutMs: 5, intervalMs: 1 }),
    {
      message: 'waited 5 ms for rain; the last value was 0',
    },
  );
  const refuses = () => Promise.reject(new Error('dry'));
  await t.rejects(waitFor(refuses, { what: 'rain', timeoutMs: 5, intervalMs: 1 }), {
    message: /the last error was Error: dry/,
  });
});
