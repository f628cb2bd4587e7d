// A DATABASE_URL of two hosts, a primary and its standby: every kind of connection follows the primary.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { openQueue } from '../../src/queue/open-queue.ts';
import { databaseProblem } from '../../src/runtime/database-problem.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folders.ts';
import { captureLog, newEvent, openPool, openSession, storeEvents, testPolicy } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

// No time-out of ours: the machine may be busy.
const patient = { connectTimeoutMs: 60_000, timeoutMs: 60_000 };
const folder = temporaryFolder(t);
const { primary, standby } = await startPair();
const credentials = new URL(primary.url);
const both = (order: readonly { port: number }[], parameters: string) =>
  `postgres://postgres:${credentials.password}@${order.map(({ port }) => `127.0.0.1:${port}`).join(',')}/postgres${parameters}`;
const writable = '?target_session_attrs=read-write';
const url = both([standby, primary], writable);

/** The embedded binaries have no pg_basebackup: the standby begins as a copy of the stopped primary. */
async function startPair() {
  const [first, second] = [path.join(folder, 'first'), path.join(folder, 'second')];
  const fresh = await startEmbeddedPostgres({ dataDir: first });
  await fresh.stop();
  execFileSync('cp', ['-a', first, second]);
  const primary = await startEmbeddedPostgres({ dataDir: first });
  atEnd(t, () => primary.stop('immediate'));
  const { password, port } = new URL(primary.url);
  fs.appendFileSync(
    path.join(second, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres password=${password}'\n`,
  );
  fs.writeFileSync(path.join(second, 'standby.signal'), '');
  const standby = await startEmbeddedPostgres({ dataDir: second });
  atEnd(t, () => standby.stop('immediate'));
  return { primary, standby };
}

const portOf = async (database: ReturnType<typeof openPool>) =>
  (await database.query<{ port: number }>('SELECT inet_server_port() AS port')).rows[0]!.port;

t.test(
  'read-write finds the primary, wherever it stands in the list; any takes the first that answers',
  async (t) => {
    const expected: [string, number][] = [
      [both([standby, primary], writable), primary.port],
      [both([primary, standby], '?target_session_attrs=primary'), primary.port],
      [both([{ port: 1 }, primary], writable), primary.port],
      [both([standby, primary], ''), standby.port],
      [both([{ port: 1 }, standby, primary], '?target_session_attrs=any'), standby.port],
    ];
    for (const [index, [hosts, port]] of expected.entries())
      t.equal(await portOf(openPool(t, hosts, patient)), port, `list ${index}`);
  },
);

t.test('without a host that will do, the reason is named', async (t) => {
  for (const parameters of [writable, '']) {
    const database = openPool(t, both([{ port: 1 }, { port: 2 }], parameters), patient);
    const error = await database.query('SELECT 1').catch((thrown: unknown) => thrown);
    t.match(error, { message: /^no host of DATABASE_URL/, errors: [/127.0.0.1:1/, /127.0.0.1:2/] });
    t.match(databaseProblem(error), { message: /no server listens/ });
  }
  const database = openPool(t, both([standby, standby], writable), patient);
  const error = await database.query('SELECT 1').catch((thrown: unknown) => thrown);
  t.match(databaseProblem(error), { message: /read only \(25006\)/, remedy: /primary/ });
});

t.test('a switch-over and a crash: events are stored on the new primary, LISTEN follows', async (t) => {
  t.equal((await createCli(t, { DATABASE_URL: url }).inside(['migrate'])).code, 0);
  const { log } = captureLog();
  const database = openPool(t, url, { ...patient, maxConnections: 1, log });
  const queue = await openQueue(database, log, { supervise: false });
  atEnd(t, () => queue.stop());
  await queue.applyPolicy(testPolicy);
  let wakes = 0;
  const listener = database.listen('a_channel', () => {
    wakes++;
  });
  atEnd(t, () => listener.close());
  await waitFor(() => listener.isListening(), { what: 'LISTEN on the first primary' });
  const store = (eventId: string) => storeEvents({ database, queue }, [newEvent({ eventId })]);
  await store('before');

  // The old primary lives on, and its sessions too, but it accepts no writes any more.
  const old = await openSession(t, primary.url);
  await old(`ALTER SYSTEM SET default_transaction_read_only = on`);
  await old('SELECT pg_reload_conf()');
  await waitFor(async () => (await old('SHOW transaction_read_only'))[0]?.transaction_read_only === 'on', {
    what: 'the old primary to be read only',
  });
  const promoted = await openSession(t, standby.url);
  await waitFor(
    async () => (await promoted(`SELECT FROM webhook_events WHERE event_id = 'before'`)).length === 1,
    {
      what: 'the standby to have the first event',
    },
  );
  await promoted('SELECT pg_promote()');
  const refused = await database
    .transaction((tx) => tx.query('CREATE TABLE never (id int)'))
    .then(
      () => undefined,
      (error: unknown) => error,
    );
  t.match(refused, { code: '25006' }, 'a session on the old primary');
  t.equal(database.counts().total, 0, 'the session is closed');
  await store('after the switch-over');
  t.equal(await portOf(database), standby.port);

  await primary.stop('immediate');
  await waitFor(() => store('after the crash').then(() => true), { what: 'a commit on the new primary' });
  await waitFor(() => listener.isListening(), { what: 'LISTEN on the new primary' });
  const before = wakes;
  await promoted('NOTIFY a_channel');
  await waitFor(() => wakes > before, { what: 'the notification' });
  t.same(
    (await promoted('SELECT event_id FROM webhook_events ORDER BY received_at')).map((row) => row.event_id),
    ['before', 'after the switch-over', 'after the crash'],
  );
  t.equal((await promoted(`SELECT FROM pgboss.job WHERE name = 'webhooks'`)).length, 3, 'with their jobs');
});

t.test('the settings accept it', async (t) => {
  t.same(parseConfig({ DATABASE_URL: url }).problems, []);
  const { problems } = parseConfig({
    DATABASE_URL: both([primary, standby], '?target_session_attrs=standby'),
  });
  t.match(problems, [/^DATABASE_URL has a target_session_attrs that Postbell cannot use/]);
});
