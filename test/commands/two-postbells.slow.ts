// Two Postbells in two schemas of one database, beside a team's own tables of our names and its older pg-boss. Each has web,
// worker and commands of its own, and none meets the other's events or the team's tables.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { countEvents } from '../../src/maintenance/count.ts';
import { purge } from '../../src/maintenance/purge.ts';
import { clearVanishedJobs, enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { schemaVersion } from '../../src/migrations/migrate.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const library = pathToFileURL(new URL('../../src/index.ts', import.meta.url).pathname).href;
const sqlFolder = new URL('../../sql/', import.meta.url);
const ownNames = readFileSync(new URL('001_create-webhook-events.sql', sqlFolder), 'utf8').matchAll(
  /^CREATE (?:TABLE|VIEW) (\w+)/gm,
);
const teamTables = [...ownNames].map(([, name]) => name!).concat('tombstones', 'setup_windows', 'migrations');

const handlers = `
import { defineHandler, PermanentError } from '${library}';
const note = (tx, text) => tx.query(
  "INSERT INTO orders SELECT '" + process.env.SHOP + "', $1, '{inbox}.orders', current_setting('search_path')", [text]);
export default [
  defineHandler({ provider: 'stripe', topic: 'invoice.paid', entity: () => 'one invoice', whenStale: 'handle',
    handle: ({ event, tx }) => note(tx, event.id) }),
  defineHandler({ provider: 'stripe', topic: 'charge.refunded', async handle() { throw new PermanentError('no refunds'); } }),
];`;

const { url } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
for (const name of teamTables) await sql(`CREATE TABLE ${name} (of_the_team int)`);
await sql('CREATE TABLE orders (shop text, event_id text, literal text, search_path text)');
await sql(`CREATE SCHEMA pgboss; CREATE TABLE pgboss.version (version int); INSERT INTO pgboss.version VALUES (24);
  CREATE TABLE pgboss.queue (name text); INSERT INTO pgboss.queue VALUES ('mails'); CREATE TABLE pgboss.job (of_the_team int)`);
const teamObjects = () =>
  sql(`SELECT oid::regclass::text AS name, relfilenode FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, 'pgboss'::regnamespace) ORDER BY 1`);
const before = await teamObjects();

/** Web, worker and commands of one Postbell. */
function openPostbell(t: Test, shop: string) {
  const inbox = `inbox_${shop}`;
  const env = {
    DATABASE_URL: url,
    POSTBELL_SCHEMA: inbox,
    POSTBELL_QUEUE_SCHEMA: `queue_${shop}`,
    SHOP: shop,
    HOST: '127.0.0.1',
    PORT: '0',
    STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
    // Only the trigger's notification makes a replay run.
    RECONCILE_SECONDS: '3600',
  };
  const cli = createCli(t, env);
  mkdirSync(join(cli.folder, 'handlers'));
  writeFileSync(join(cli.folder, 'handlers/index.mjs'), handlers);
  const withHandlers = { ...env, POSTBELL_HANDLERS: join(cli.folder, 'handlers/index.mjs') };
  const start = (verb: string) => startProcess(t, [verb], { env: withHandlers, cwd: cli.folder });
  const run = async (...args: string[]) => {
    const result = await cli.inside(args, { env: withHandlers });
    t.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`);
    return result;
  };
  const statusOf = async (eventId: string) =>
    (await sql(`SELECT status::text FROM ${inbox}.webhook_events WHERE event_id = $1`, [eventId]))[0]?.status;
  const settled = (eventId: string, status: string) =>
    waitFor(async () => (await statusOf(eventId)) === status, {
      what: `${eventId} to be ${status} in ${inbox}`,
    });
  const orders = async () =>
    (await sql('SELECT event_id FROM orders WHERE shop = $1', [shop])).map((row) => row.event_id);
  return { inbox, env, run, start, settled, orders };
}

t.test('with the defaults, migrate names all clashes and their remedies, and changes nothing', async (t) => {
  const { code, stderr } = await createCli(t, { DATABASE_URL: url }).inside(['migrate']);
  t.equal(code, 1);
  t.match(stderr, /webhook_events \(table\).*set POSTBELL_SCHEMA/);
  t.match(stderr, /pgboss has the pg-boss of another program \(version 24;.*set POSTBELL_QUEUE_SCHEMA/);
  t.same(await teamObjects(), before);
});

t.test('a name that Postgres or pg-boss would take otherwise is a wrong setting', async (t) => {
  const names = { POSTBELL_SCHEMA: 'Shop', POSTBELL_QUEUE_SCHEMA: 'pg_queue' };
  const { code, stderr } = await createCli(t, { DATABASE_URL: url, ...names }).inside(['migrate']);
  t.equal(code, 78);
  t.match(stderr, /POSTBELL_SCHEMA must be .*\n.*POSTBELL_QUEUE_SCHEMA must be /s);
  const same = await createCli(t, { DATABASE_URL: url, POSTBELL_SCHEMA: 'pgboss' }).inside(['migrate']);
  t.match(same, { code: 78, stderr: /POSTBELL_QUEUE_SCHEMA must not be POSTBELL_SCHEMA/ });
});

t.test('two Postbells live side by side', async (t) => {
  const [a, b] = [openPostbell(t, 'a'), openPostbell(t, 'b')];
  await Promise.all([a.run('migrate'), b.run('migrate')]);
  const again = await a.run('migrate', '--json');
  t.match(again.documents(), [{ applied: [], schema: schemaVersion }]);

  const [webA, workerA, webB, workerB] = [
    a.start('web'),
    a.start('worker'),
    b.start('web'),
    b.start('worker'),
  ];
  const addresses = await Promise.all(
    [webA, webB].map(async (web) => String((await web.waitForLog(({ msg }) => msg === 'listening')).address)),
  );
  await Promise.all([webA, workerA, webB, workerB].map((process) => process.waitForLog('ready')));
  const send = (index: 0 | 1, topic: string, id: string) =>
    [a, b][index]!.run('send', 'stripe', topic, '--id', id, '--url', addresses[index]!);

  // The same event at both: an event of one is no duplicate of the other's.
  await send(0, 'invoice.paid', 'evt_1');
  await send(1, 'invoice.paid', 'evt_1');
  await send(0, 'charge.refunded', 'evt_2');
  await Promise.all([
    a.settled('evt_1', 'PROCESSED'),
    b.settled('evt_1', 'PROCESSED'),
    a.settled('evt_2', 'FAILED'),
  ]);
  t.same([await a.orders(), await b.orders()], [['evt_1'], ['evt_1']]);
  const [order] = await sql('SELECT literal, search_path FROM orders LIMIT 1');
  t.same(
    order,
    { literal: '{inbox}.orders', search_path: '"$user", public' },
    "the handler's SQL is its own",
  );

  await sql(`UPDATE ${a.inbox}.webhook_events SET status = 'PENDING' WHERE event_id = 'evt_1'`);
  await waitFor(async () => (await a.orders()).length === 2, { what: 'the replay to run' });
  t.same(await b.orders(), ['evt_1']);

  t.match((await a.run('status', '--json')).documents(), [{ sources: [{ processed: 1, failed: 1 }] }]);
  t.match((await b.run('status', '--json')).documents(), [{ sources: [{ processed: 1, failed: 0 }] }]);
  t.match((await a.run('show', 'evt_2', '--json')).stdout, /no refunds/);
  const { stdout } = await a.run('doctor');
  t.match(stdout, new RegExp(`inbox_a has version ${schemaVersion}, queue_a pg-boss`));
  t.match(stdout, /ok +worker +1 alive, version /);
  t.match(stdout, /1 event: PermanentError: no refunds/);
  t.match(stdout, /ok +listen/);

  await workerB.kill('SIGTERM');
  await workerB.exited;
  t.match(
    (await b.run('doctor')).stdout,
    /worker +none alive; the last, on .+, was stopped/,
    "the other Postbell's worker is not its own",
  );
  t.same(await teamObjects(), before);
});

t.test('lost jobs and old events of one schema only are found', async (t) => {
  const schemas = { inbox: 'inbox_b', queue: 'queue_b' };
  const { database, queue } = await openInboxOn(t, url, { schemas });
  await storeEvents({ database, queue }, [newEvent({ eventId: 'evt_lost' })]);
  await sql(
    `UPDATE inbox_b.webhook_events SET received_at = received_at - interval '2 hours',
       processed_at = processed_at - interval '2 hours'`,
  );
  await sql('DELETE FROM queue_b.job');
  t.match(await clearVanishedJobs({ database, queue }, undefined), { cleared: 1 });
  t.equal(await enqueueEventsWithoutJob({ database, queue }), 1);
  t.same(await sql('SELECT count(*)::int AS jobs FROM queue_b.job'), [{ jobs: 1 }]);
  t.match(await countEvents({ database }), { isTaken: false });
  t.match(await purge({ database, retentionMs: 0 }), { events: 1, isTaken: false });
  t.same(await sql('SELECT event_id FROM inbox_b.tombstones'), [{ event_id: 'evt_1' }]);
  t.same(await sql('SELECT count(*)::int AS events FROM inbox_a.webhook_events'), [{ events: 2 }]);
  t.same(await teamObjects(), before);
});
