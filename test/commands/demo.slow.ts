// The demo, run as its users run it, and made to fail as they would want it to.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import t from 'tap';
import { runDemo } from '../../src/commands/demo.ts';
import { createTestDatabase, testServerUrl } from '../support/database.ts';
import { temporaryFolder } from '../support/folders.ts';
import { isRunning, plainEnvironment, runProcess, startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

function childPids(text: string): number[] {
  return [...text.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
}

t.test('it brings its own Postgres, its ledger balances, and it leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  // Settings of the caller's must not get into the play.
  const env = { TMPDIR: folder, STRIPE_WEBHOOK_SECRET: 'wrong', MAX_ATTEMPTS: '1', PORT: 'none' };
  const { code, stdout, stderr } = await runProcess(['demo'], { cwd: folder, env });
  t.equal(stderr, '');
  t.equal(code, 0);
  t.match(stdout, /the ledger balances/);
  t.notMatch(stdout, /DOES NOT BALANCE|does not balance/);
  for (const line of [
    /deliveries sent, and answered +(\d+) +\1 +ok/,
    /rejections counted by the receiver: too_old +1 +1 +ok/,
    /rejections counted by the receiver: too_new +1 +1 +ok/,
    /failed attempts recorded +7 +7 +ok/,
    /orders awaiting funds +1 +1 +ok/,
    /shopify shopify-0001 +5 +Error: there is no loyalty rate for SEK/,
    /UPDATE webhook_events SET status = 'PENDING' WHERE source = 'shopify' AND event_id = 'shopify-0001'/,
  ]) {
    t.match(stdout, line);
  }
  const pids = childPids(stdout);
  t.equal(pids.length, 3, 'Postgres, web, worker');
  t.notOk(pids.some(isRunning));
  t.same(
    readdirSync(folder).filter((name) => name.startsWith('postbell-postgres-data')),
    [],
  );
});

t.test('a lost effect, a doubled effect and a lost event end it with 1, each by its line', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  let output = '';
  const code = await runDemo(
    { ...plainEnvironment(), DATABASE_URL: url },
    {
      output: {
        write: (text) => {
          output += text;
        },
      },
      beforeBooks: async (database) => {
        await database.query(
          `DELETE FROM example_shop.loyalty_points WHERE order_id = (SELECT min(order_id) FROM example_shop.loyalty_points)`,
        );
        await database.query('INSERT INTO example_shop.payments SELECT * FROM example_shop.payments LIMIT 1');
        await database.query(`DELETE FROM webhook_events WHERE event_id = (
          SELECT min(event_id) FROM webhook_events WHERE source = 'shopify' AND status = 'PROCESSED')`);
      },
    },
  );
  t.equal(code, 1);
  for (const what of ['orders that gave loyalty points', 'payments booked', 'events answered 200 and lost']) {
    t.match(output, new RegExp(`does not balance: ${what}: `));
  }
  t.match(output, /THE LEDGER DOES NOT BALANCE/);
  t.notMatch(output, /the ledger balances/);
});

t.test(
  'beside DATABASE_URL it plays in a database of its own, and drops it when it is interrupted',
  async (t) => {
    const server = await testServerUrl();
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    const databases = async () =>
      (await client.query(`SELECT datname FROM pg_database WHERE datname LIKE 'postbell_demo_%'`)).rows
        .length;
    try {
      const before = await databases();
      const demo = startProcess(t, ['demo'], { env: { DATABASE_URL: server }, mayFail: true });
      await waitFor(() => demo.output().includes('card payments'), {
        what: 'the demo to be under way',
      });
      t.equal(await databases(), before + 1);
      demo.kill('SIGINT');
      t.match(await demo.exited, { code: 130 });
      t.match(demo.output(), /stopped by SIGINT/);
      t.equal(await databases(), before);
      t.notOk(childPids(demo.output()).some(isRunning));
    } finally {
      await client.end();
    }
  },
);

t.test('killed, it leaves no process and no data either', async (t) => {
  const folder = temporaryFolder(t);
  const demo = startProcess(t, ['demo'], { env: { TMPDIR: folder } });
  await waitFor(() => demo.output().includes('card payments'), {
    what: 'the demo to be under way',
  });
  const pids = childPids(demo.output());
  t.equal(pids.length, 3);
  demo.kill('SIGKILL');
  await waitFor(() => !pids.some(isRunning), { what: 'its processes to end' });
  await waitFor(() => readdirSync(folder).every((name) => !name.includes('data')), {
    what: `${path.basename(folder)} to be empty`,
  });
});

t.test('for machines it prints one document; beside DATABASE_URL it plays as well', async (t) => {
  const env = { DATABASE_URL: await testServerUrl() };
  const { code, stdout } = await runProcess(['demo', '--json'], { env });
  t.equal(code, 0);
  const { isBalanced, ledger } = JSON.parse(stdout) as { isBalanced: boolean; ledger: unknown[] };
  t.equal(isBalanced, true);
  t.ok(ledger.length > 25);
});
