// The embedded Postgres: real starts, real ends of real parent processes.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import t, { type Test } from 'tap';
import { startEmbeddedPostgres } from '../../../src/dev/postgres/start.ts';
import { atEnd } from '../../support/at-end.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { freePort } from '../../support/ports.ts';
import { isRunning, type ProcessOptions, startProcess } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';

const script = new URL('../../support/embedded-postgres-process.ts', import.meta.url).pathname;

async function query(url: string, text: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // the tests stop servers under it
  await client.connect();
  try {
    const { rows } = await client.query({ text, rowMode: 'array' });
    return String(rows[0]?.[0]);
  } finally {
    await client.end();
  }
}

/** A process with an embedded Postgres, whose temporary files all lie in a folder of their own. */
async function startParent(t: Test, manner: string, options: ProcessOptions = {}) {
  const folder = temporaryFolder(t);
  const parent = startProcess(t, [manner], { script, env: { TMPDIR: folder }, ...options });
  const { postgresPid, dataDir, url } = (await parent.waitForLog('ready')) as Record<string, unknown>;
  return { parent, folder, pid: Number(postgresPid), dataDir: String(dataDir), url: String(url) };
}

/** Without the copy of the binaries: it is made where Postgres' user cannot enter our folder, and stays for the next start. */
function leftIn(folder: string): string[] {
  return fs.readdirSync(folder).filter((name) => !/^postbell-postgres-\d[\w.-]*-\d+$/.test(name));
}

async function isGone({ pid, dataDir }: { pid: number; dataDir: string }): Promise<boolean> {
  return waitFor(() => !isRunning(pid) && !fs.existsSync(dataDir), {
    what: 'Postgres and its data to be gone',
  });
}

t.test('it is a Postgres 18 that asks for a password and listens on 127.0.0.1 only', async (t) => {
  const postgres = await startEmbeddedPostgres({ settings: { work_mem: '7MB' } });
  atEnd(t, () => postgres.stop());
  t.match(await query(postgres.url, 'select version()'), /^PostgreSQL 18/);
  t.equal(await query(postgres.url, 'show listen_addresses'), '127.0.0.1');
  t.equal(await query(postgres.url, 'show fsync'), 'off', 'fast by default');
  t.equal(await query(postgres.url, 'show synchronous_commit'), 'on');
  t.equal(await query(postgres.url, 'show work_mem'), '7MB');
  t.equal(await query(postgres.url, "select upper('é')"), 'É');
  const withoutPassword = postgres.url.replace(/:[^:@]*@/, ':wrong@');
  await t.rejects(query(withoutPassword, 'select 1'), { code: '28P01' });
});

t.test('stop ends it, however often it is called, and removes its data', async (t) => {
  for (const mode of ['fast', 'immediate'] as const) {
    const postgres = await startEmbeddedPostgres();
    const session = query(postgres.url, 'select pg_sleep(60)').catch((error: Error) => error);
    await waitFor(
      async () =>
        (await query(postgres.url, `select count(*) from pg_stat_activity where wait_event = 'PgSleep'`)) ===
        '1',
      {
        what: 'the session to run',
      },
    );
    await Promise.all([postgres.stop(mode), postgres.stop(mode)]);
    t.notOk(isRunning(postgres.pid), mode);
    t.notOk(fs.existsSync(postgres.dataDir));
    t.match(
      await session,
      { message: mode === 'fast' ? /administrator command/ : /terminated unexpectedly/ },
      'the session was told how it ended',
    );
    await postgres.stop();
  }
});

for (const [end, manner] of Object.entries({
  'its event loop being empty': 'return',
  'process.exit': 'exit',
  'an error': 'throw',
})) {
  t.test(`nothing is left when the parent ends by ${end}`, async (t) => {
    const running = await startParent(t, manner, { mayFail: true });
    const { code } = await running.parent.exited;
    t.equal(code, { return: 0, exit: 3, throw: 1 }[manner]);
    t.ok(await isGone(running));
    t.strictSame(leftIn(running.folder), []);
  });
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const) {
  t.test(`nothing is left when the parent ends by ${signal}`, async (t) => {
    const running = await startParent(t, 'stay');
    t.ok(isRunning(running.pid));
    running.parent.kill(signal);
    t.equal((await running.parent.exited).signal, signal);
    t.ok(await isGone(running));
    t.strictSame(leftIn(running.folder), []);
  });
}

t.test('nothing is left when the parent is killed while the data directory is being made', async (t) => {
  const folder = temporaryFolder(t);
  const parent = startProcess(t, ['stay'], { script, env: { TMPDIR: folder } });
  const filesMade = () =>
    fs
      .readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.startsWith('postbell-postgres-data-')).length;
  await waitFor(() => filesMade() > 20, { what: 'initdb to be at work', intervalMs: 1 });
  parent.kill('SIGKILL');
  await parent.exited;
  t.notOk(parent.output().includes('ready'));
  t.ok(await waitFor(() => leftIn(folder).length === 0, { what: 'the data to be gone' }));
});

t.test('a Postgres that is frozen is gone, too, when its parent is killed', async (t) => {
  const running = await startParent(t, 'stay');
  process.kill(running.pid, 'SIGSTOP');
  running.parent.kill('SIGKILL');
  t.ok(await isGone(running));
});

t.test('Ctrl-C reaches the parent but not Postgres, which serves until the parent has ended', async (t) => {
  const running = await startParent(t, 'drain', { ownGroup: true });
  const session = new pg.Client({ connectionString: running.url });
  session.on('error', () => {}); // it ends with the parent
  await session.connect();
  process.kill(running.parent.pid, 'SIGSTOP'); // holds the parent between the signal and its end
  process.kill(-running.parent.pid, 'SIGINT');
  t.equal((await session.query('select 1 as one from pg_sleep(0.5)')).rows[0].one, 1);
  process.kill(running.parent.pid, 'SIGCONT');
  await running.parent.waitForLog('draining');
  t.equal((await running.parent.exited).code, 0);
  t.ok(await isGone(running));
  await session.end();
});

t.test('a data directory', async (t) => {
  const dataDir = path.join(temporaryFolder(t), 'with a space', 'data');
  const first = await startEmbeddedPostgres({ dataDir, durable: true });
  t.equal(first.dataDir, dataDir);
  t.equal(await query(first.url, 'show fsync'), 'on');
  await query(first.url, 'create table kept as select 42 as answer');
  await first.stop();
  t.strictSame(fs.readdirSync(path.dirname(dataDir)), ['data'], 'nothing else is left beside it');

  await t.test('keeps its data and its URL between starts, also on another port', async (t) => {
    const port = await freePort();
    const again = await startEmbeddedPostgres({ dataDir, port });
    t.equal(again.port, port);
    t.equal(again.url, first.url.replace(String(first.port), String(port)));
    t.equal(await query(again.url, 'select answer from kept'), '42');
    await again.stop();
  });

  await t.test('is kept when the parent is killed', async (t) => {
    const parent = startProcess(t, ['stay', JSON.stringify({ dataDir })], { script });
    const { postgresPid, url } = (await parent.waitForLog('ready')) as Record<string, unknown>;
    await query(String(url), 'create table later as select 43 as answer');
    parent.kill('SIGKILL');
    await waitFor(() => !isRunning(Number(postgresPid)), { what: 'Postgres to be gone' });
    const again = await startEmbeddedPostgres({ dataDir });
    t.equal(await query(again.url, 'select answer from later'), '43');
    await again.stop();
  });

  await t.test(
    'works again after Postgres itself was killed, once its last session has noticed',
    async (t) => {
      const killed = await startEmbeddedPostgres({ dataDir });
      const session = new pg.Client({ connectionString: killed.url });
      session.on('error', () => {}); // it is to lose its server
      await session.connect();
      const sessionPid = Number((await session.query('select pg_backend_pid() as pid')).rows[0].pid);
      process.kill(sessionPid, 'SIGSTOP');
      process.kill(killed.pid, 'SIGKILL');
      await waitFor(() => !isRunning(killed.pid), { what: 'the postmaster to be gone' });
      t.ok(fs.existsSync(path.join(dataDir, 'postmaster.pid')), 'it could not clean up');
      const starting = startEmbeddedPostgres({ dataDir });
      const log = path.join(dataDir, 'postgres.log');
      const isRefused = () => fs.readFileSync(log, 'utf8').includes('pre-existing shared memory block');
      await waitFor(isRefused, { what: 'a first start to be refused', intervalMs: 2 });
      process.kill(sessionPid, 'SIGCONT');
      const again = await starting;
      t.equal(await query(again.url, 'select answer from kept'), '42');
      await again.stop('immediate');
    },
  );

  await t.test('works again when its stale pid file names a process of something else', async (t) => {
    const { uid, gid } = fs.statSync(dataDir);
    const stranger = spawn('/bin/sh', ['-c', 'read _'], { uid, gid, stdio: ['pipe', 'ignore', 'ignore'] });
    atEnd(t, () => void stranger.kill());
    const pidFile = path.join(dataDir, 'postmaster.pid');
    const since = 1_700_000_000;
    const lines = [
      stranger.pid,
      dataDir,
      since,
      first.port,
      '',
      '127.0.0.1',
      ' 1234567  7654321',
      'ready   ',
      '',
    ];
    fs.writeFileSync(pidFile, lines.join('\n'), { mode: 0o600 });
    fs.chownSync(pidFile, uid, gid);
    const again = await startEmbeddedPostgres({ dataDir });
    t.equal(await query(again.url, 'select answer from kept'), '42');
    await again.stop();
  });

  await t.test('is refused to a second Postgres, with the first one left alone', async (t) => {
    const one = await startEmbeddedPostgres({ dataDir });
    await t.rejects(startEmbeddedPostgres({ dataDir }), {
      name: 'CommandError',
      message: `the data directory ${dataDir} is in use by process ${one.pid}: stop that one, or choose another folder`,
    });
    t.equal(await query(one.url, 'select answer from kept'), '42');
    await one.stop();
  });

  await t.test('of another major version is refused with the remedy', async (t) => {
    const file = path.join(dataDir, 'PG_VERSION');
    fs.writeFileSync(file, '17\n');
    await t.rejects(startEmbeddedPostgres({ dataDir }), {
      message: /was made by Postgres 17, this is Postgres 18: delete the folder .* pg_dump/,
    });
    fs.writeFileSync(file, '18\n');
  });

  await t.test(
    'runs as its owner when we are root',
    { skip: process.getuid?.() !== 0 && 'only root can give files away' },
    async (t) => {
      for (const name of ['', ...fs.readdirSync(dataDir, { recursive: true, encoding: 'utf8' })]) {
        fs.lchownSync(path.join(dataDir, name), 12_345, 12_345);
      }
      const postgres = await startEmbeddedPostgres({ dataDir });
      t.equal(fs.statSync(path.join(dataDir, 'postmaster.pid')).uid, 12_345);
      await postgres.stop();
    },
  );
});

t.test('two starts on the same new data directory: one gets it, the other is told', async (t) => {
  const dataDir = path.join(temporaryFolder(t), 'data');
  const starts = await Promise.allSettled([
    startEmbeddedPostgres({ dataDir }),
    startEmbeddedPostgres({ dataDir }),
  ]);
  const [winner] = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const [rejection] = starts.flatMap((start) => (start.status === 'rejected' ? [start.reason as Error] : []));
  t.match(rejection?.message, /is in use by/);
  t.equal(await query(winner!.url, 'select 1'), '1');
  await winner!.stop();
  t.strictSame(fs.readdirSync(path.dirname(dataDir)), ['data']);
});

t.test('a folder with other files is not taken for a data directory', async (t) => {
  const dataDir = temporaryFolder(t);
  fs.writeFileSync(path.join(dataDir, 'thesis.txt'), 'precious');
  await t.rejects(startEmbeddedPostgres({ dataDir }), { message: /holds files that are not ours/ });
  t.strictSame(fs.readdirSync(dataDir), ['thesis.txt']);
});

t.test(
  'a port that is taken is named; a setting that is wrong is told in the words of Postgres',
  async (t) => {
    const postgres = await startEmbeddedPostgres();
    atEnd(t, () => postgres.stop());
    const { port } = postgres;
    await t.rejects(startEmbeddedPostgres({ port }), {
      message: `port ${port} of 127.0.0.1 is in use: free it or choose another`,
    });
    const settings = { work_mem: 'plenty' };
    await t.rejects(startEmbeddedPostgres({ settings }), {
      message: /did not start[\s\S]*invalid value for parameter "work_mem"/,
    });
  },
);
