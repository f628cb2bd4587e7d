// A DATABASE_URL of two hosts, a primary and its standby: every kind of connection follows the primary.
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { openQueue } from '../../src/queue/open-queue.ts';
import { databaseProblem } from '../../src/runtime/database-problem.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { captureLog, newEvent, openPool, openSession, storeEvents, testPolicy } from '../support/inbox.ts';
import { startPair, startSilentHost, writable } from '../support/standby.ts';
import { waitFor } from '../support/wait.ts';

// No time-out of ours: the machine may be busy.
const patient = { connectTimeoutMs: 60_000, timeoutMs: 60_000 };
const { primary, standby, urlOf } = await startPair(t);
const url = urlOf([standby, primary], writable);

const portOf = async (database: ReturnType<typeof openPool>) =>
  (await database.query<{ port: number }>('SELECT inet_server_port() AS port')).rows[0]!.port;

t.test(
  'read-write finds the primary, wherever it stands in the list; any takes the first that answers',
  async (t) => {
    const expected: [string, number][] = [
      [urlOf([standby, primary], writable), primary.port],
      [urlOf([primary, standby], '?target_session_attrs=primary'), primary.port],
      [urlOf([{ port: 1 }, primary], writable), primary.port],
      [urlOf([standby, primary], ''), standby.port],
      [urlOf([{ port: 1 }, standby, primary], '?target_session_attrs=any'), standby.port],
    ];
    for (const [index, [hosts, port]] of expected.entries())
      t.equal(await portOf(openPool(t, hosts, patient)), port, `list ${index}`);
  },
);

t.test('a host that answers nothing costs its share of the limit, or nothing', async (t) => {
  const silent = await startSilentHost(t);
  const startedAt = performance.now();
  const inOrder = urlOf([silent, primary], '?target_session_attrs=any');
  t.equal(await portOf(openPool(t, inOrder, { ...patient, connectTimeoutMs: 12_000 })), primary.port);
  t.ok(performance.now() - startedAt >= 6_000, 'half of the limit');
  // All are asked at once: without that, the test would not end.
  const atOnce = urlOf([silent, standby, primary], writable);
  t.equal(await portOf(openPool(t, atOnce, { ...patient, connectTimeoutMs: 2_000_000 })), primary.port);
});

t.test('without a host that will do, the reason is named', async (t) => {
  for (const parameters of [writable, '']) {
    const database = openPool(t, urlOf([{ port: 1 }, { port: 2 }], parameters), patient);
    const error = await database.query('SELECT 1').catch((thrown: unknown) => thrown);
    t.match(error, { message: /^no host of DATABASE_URL/, errors: [/127.0.0.1:1/, /127.0.0.1:2/] });
    t.match(databaseProblem(error), { message: /no server listens/ });
  }
  const database = openPool(t, urlOf([standby, standby], writable), patient);
  const error = await database.query('SELECT 1').catch((thrown: unknown) => thrown);
  t.match(databaseProblem(error), { message: /read only \(25006\)/, remedy: /primary/ });
});

t.test('a switch-over and a crash: events and LISTEN go to the new primary', async (t) => {
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
  // Nothing ends this connection to the old primary: its check finds out.
  await waitFor(
    async () => {
      const before = wakes;
      await promoted('NOTIFY a_channel');
      return wakes > before;
    },
    { what: 'LISTEN to follow the switch-over', intervalMs: 200 },
  );

  await primary.stop('immediate');
  await waitFor(() => store('after the crash').then(() => true), { what: 'a commit on the new primary' });
  t.same(
    (await promoted('SELECT event_id FROM webhook_events ORDER BY received_at')).map((row) => row.event_id),
    ['before', 'after the switch-over', 'after the crash'],
  );
  t.equal((await promoted(`SELECT FROM pgboss.job WHERE name = 'webhooks'`)).length, 3, 'with their jobs');
});

t.test('the settings accept it', async (t) => {
  t.same(parseConfig({ DATABASE_URL: url }).problems, []);
  const { problems } = parseConfig({
    DATABASE_URL: urlOf([primary, standby], '?target_session_attrs=standby'),
  });
  t.match(problems, [/^DATABASE_URL has a target_session_attrs that Postbell cannot use/]);
});
