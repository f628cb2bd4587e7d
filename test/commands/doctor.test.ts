// `doctor`: each thing that can be wrong is found, named, and comes with a remedy.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { parseConfig } from '../../src/config.ts';
import type { Database } from '../../src/database/database.ts';
import type { Check, CheckContext } from '../../src/doctor/check.ts';
import { checkClock, checkListen, checkServer } from '../../src/doctor/server.ts';
import { recordRejection } from '../../src/events/rejected-requests.ts';
import { unconfirmed } from '../../src/providers/index.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const library = pathToFileURL(new URL('../../src/index.ts', import.meta.url).pathname).href;
const secret = 'whsec_0123456789abcdef';
// As the template of the tests' databases was migrated.
const env = { STRIPE_WEBHOOK_SECRET: secret };

async function openPatient(t: Test, options: { migrated?: boolean; handlers?: string } = {}) {
  const { url } = await createTestDatabase(t, { migrated: options.migrated ?? true });
  const cli = createCli(t, { ...env, DATABASE_URL: url });
  mkdirSync(join(cli.folder, 'handlers'));
  const handlers =
    options.handlers ??
    `import { defineHandler } from '${library}';
     export default [defineHandler({ provider: 'stripe', topic: 'invoice.*', async handle() {} })];`;
  writeFileSync(join(cli.folder, 'handlers/index.ts'), handlers);
  const diagnose = async (args: readonly string[] = [], more: Record<string, string> = {}) => {
    const { code, documents } = await cli.inside(['doctor', '--json', ...args], { env: more });
    const [{ ok, checks }] = documents() as unknown as [{ ok: boolean; checks: Check[] }];
    const find = (name: string) => checks.filter(({ check }) => check === name);
    return { code, ok, checks, find };
  };
  return { url, cli, diagnose };
}

t.test('a sound installation passes every check but for processes that do not run', async (t) => {
  const { cli, diagnose } = await openPatient(t);
  const { code, ok, checks } = await diagnose();
  t.equal(code, 0);
  t.equal(ok, true);
  t.same(
    checks.filter(({ status }) => status !== 'ok').map(({ check }) => check),
    ['web', 'worker'],
  );
  t.same(
    checks.map(({ check }) => check),
    [
      'settings',
      'source stripe',
      'handlers',
      'database',
      'connections',
      'clock',
      'listen',
      'rights',
      'schema',
      'queue',
      'jobs',
      'web',
      'worker',
      'backlog',
      'pauses',
      'dead letters',
      'storage',
      'topics',
      'rejected requests',
      'alerts',
    ],
  );
  const forPeople = await cli(['doctor']);
  t.equal(forPeople.code, 0, forPeople.stderr);
  t.match(forPeople.stdout, /^ok {4}source stripe {4}HMAC-SHA256 in stripe-signature, 1 secret$/m);
  t.match(
    forPeople.stdout,
    /^warn {2}worker +no worker has reached this database yet\n +→ run: postbell worker$/m,
  );
  t.match(forPeople.stdout, /\n\n18 ok, 2 to look at, 0 failed\n$/);
  t.notMatch(forPeople.stdout + forPeople.stderr, secret);
});

t.test('processes that run are seen', async (t) => {
  const { url, cli, diagnose } = await openPatient(t);
  const options = { env: { ...env, DATABASE_URL: url, PORT: '0' }, cwd: cli.folder };
  const processes = [startProcess(t, ['web'], options), startProcess(t, ['worker'], options)];
  for (const running of processes) await running.waitForLog(({ msg }) => msg === 'ready');
  // Ready, each process gives its first sign of life.
  await waitFor(
    async () => {
      const { find } = await diagnose();
      return [...find('web'), ...find('worker')].every(({ status }) => status === 'ok');
    },
    { what: 'both to be seen' },
  );
  t.match((await cli.inside(['status'])).stdout, /\nweb: 1 alive, version .*\nworker: 1 alive, version /);
  for (const running of processes) running.kill('SIGTERM');
  for (const running of processes) await running.exited;
  const { find } = await diagnose();
  const stopped = { status: 'warn', message: /^none alive; the last, on .+, was stopped \d+ s ago$/ };
  t.match([...find('web'), ...find('worker')], [stopped, stopped]);
});

t.test('every problem of the settings is told, and the rest is looked at all the same', async (t) => {
  const { diagnose } = await openPatient(t);
  const { code, find } = await diagnose([], {
    PORT: 'abc',
    LOG_LEVEL: 'loud',
    STRIPE_WEBHOOK_SECRET: 'sesame-open-123456',
  });
  t.equal(code, 1);
  t.match(find('settings'), [
    { status: 'fail', message: /^PORT/ },
    { status: 'fail', message: /^LOG_LEVEL/ },
  ]);
  t.match(find('sources'), [{ status: 'fail', message: /^STRIPE_WEBHOOK_SECRET/ }]);
  t.match(find('schema'), [{ status: 'ok' }]);
});

t.test('a missing or unreachable database fails, without its password', async (t) => {
  const { diagnose } = await openPatient(t);
  const missing = await diagnose([], { DATABASE_URL: '' });
  t.equal(missing.code, 1);
  t.match(missing.find('settings'), [{ status: 'fail', message: /^DATABASE_URL is not set/ }]);
  t.equal(missing.find('handlers').length, 1, 'what needs no database is looked at');
  const gone = await diagnose([], { DATABASE_URL: 'postgres://ada:sesame-open@127.0.0.1:1/x' });
  t.equal(gone.code, 1);
  t.match(gone.find('database'), [{ status: 'fail', message: /ECONNREFUSED/, remedy: /start Postgres/ }]);
  t.notMatch(JSON.stringify(gone.checks), 'sesame-open');
});

t.test('a database without the schema fails, and nothing is created in it', async (t) => {
  const { url, diagnose } = await openPatient(t, { migrated: false });
  const { code, find } = await diagnose();
  t.equal(code, 1);
  t.match(find('schema'), [{ status: 'fail', remedy: 'run: postbell migrate' }]);
  const sql = await openSession(t, url);
  t.same(await sql(`SELECT nspname FROM pg_namespace WHERE nspname = 'pgboss'`), []);
});

t.test('a read-only database fails; limits too low for the settings warn, then fail', async (t) => {
  const { url, diagnose } = await openPatient(t);
  const name = new URL(url).pathname.slice(1);
  const sql = await openSession(t, url);
  await sql(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  t.match((await diagnose()).find('database'), [{ status: 'ok' }, { status: 'fail', remedy: /primary/ }]);
  await sql('SET default_transaction_read_only = off');
  await sql(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  await sql(`ALTER DATABASE ${name} CONNECTION LIMIT 12`);
  t.match((await diagnose()).find('connections'), [
    { status: 'warn', message: /up to 9, .* of 12 \(the database/ },
  ]);
  const recovered = Object.fromEntries(
    ['A1', 'A2', 'A3', 'SHOPIFY'].flatMap((name) => [
      [`${name}_API_KEY`, 'none'],
      [`${name}_API_URL`, 'http://127.0.0.1:9'],
      ...(name === 'SHOPIFY' ? [[`${name}_API_TOPICS`, 'orders']] : [[`${name}_API_PATH`, '/']]),
    ]),
  );
  const env = { ...recovered, POSTBELL_SOURCES: 'a1=pulled,a2=pulled,a3=pulled', RECOVER_MINUTES: '60' };
  t.match((await diagnose([], env)).find('connections'), [{ message: /up to 12, / }]);
  const { code, find } = await diagnose([], { WORKER_CONCURRENCY: '20' });
  t.match(find('connections'), [{ status: 'fail', remedy: /WORKER_CONCURRENCY/ }]);
  t.match(find('schema'), [{ status: 'ok' }], 'the rest is looked at all the same');
  t.equal(code, 1);
});

t.test('behind a pooler nobody listens', async (t) => {
  const { diagnose } = await openPatient(t);
  const { find } = await diagnose([], { DATABASE_POOLER: 'true' });
  t.match(find('listen'), [{ status: 'ok', message: /not used behind a pooler/ }]);
  t.match(
    find('worker'),
    [{ status: 'warn', message: /no worker has reached/ }],
    'processes are seen all the same',
  );
  t.same(find('connections'), [], "that is the pooler's matter");
});

t.test('a queue that does not follow the settings warns', async (t) => {
  const { diagnose } = await openPatient(t);
  const { code, find } = await diagnose([], { MAX_ATTEMPTS: '3' });
  t.equal(code, 0, 'a warning is no failure');
  t.match(find('queue'), [
    { status: 'warn', message: 'differs from the settings: webhooks-isolated: retryLimit 4 instead of 2' },
  ]);
});

t.test('lost jobs, waiting events and dead letters are found; doctor changes none of them', async (t) => {
  const { url, diagnose } = await openPatient(t);
  const inbox = await openInboxOn(t, url, {
    policy: { HEARTBEAT_SECONDS: 30 },
  });
  const [lost, waiting, unqueued, dead] = [newEvent(), newEvent(), newEvent(), newEvent()];
  const [lostJobId] = await storeEvents(inbox, [lost, waiting, unqueued, dead]);
  await inbox.sql(`UPDATE webhook_events SET received_at = now() - interval '20 minutes'`);
  await inbox.sql('DELETE FROM pgboss.job WHERE id = $1', [lostJobId]);
  await inbox.sql('UPDATE webhook_events SET job_id = NULL WHERE event_id = $1', [unqueued.eventId]);
  await inbox.sql(
    `UPDATE webhook_events SET status = 'FAILED', last_error = 'Error: no \x1b[31mroute' WHERE event_id = $1`,
    [dead.eventId],
  );
  const before = await inbox.sql('SELECT * FROM webhook_events ORDER BY event_id');
  const { code, find } = await diagnose();
  t.equal(code, 1);
  t.match(find('jobs'), [
    { status: 'warn', message: '1 of the 2 oldest pending events have lost their job' },
  ]);
  t.match(find('backlog'), [
    { status: 'fail', message: /3 events pending.*has waited for 20 min/ },
    { status: 'warn', message: /1 event wait/ },
  ]);
  t.match(find('dead letters'), [
    {
      status: 'warn',
      message: '1 event: Error: no \x1b[31mroute',
      remedy: `fix the cause, then: postbell replay --error 'Error: no'`,
    },
  ]);
  t.same(await inbox.sql('SELECT * FROM webhook_events ORDER BY event_id'), before);
});

t.test('each cause of dead letters has the line that replays its events', async (t) => {
  const { url, cli, diagnose } = await openPatient(t);
  const inbox = await openInboxOn(t, url);
  const events = Array.from({ length: 30 }, () => newEvent());
  await storeEvents(inbox, events);
  // 23 causes.
  await inbox.sql(
    `UPDATE webhook_events e SET status = 'FAILED', last_error = 'Error: ' || CASE
       WHEN n <= 3 THEN 'it''s "5% off" $HOME; cause: x' WHEN n <= 9 THEN 'down' ELSE 'cause ' || n END
     FROM unnest($1::text[]) WITH ORDINALITY AS key (id, n) WHERE event_id = id`,
    [events.map(({ eventId }) => eventId)],
  );
  const letters = (await diagnose()).find('dead letters');
  t.equal(letters.length, 21);
  t.match(letters[0], { message: '6 events: Error: down', remedy: "postbell replay --error 'Error: down'" });
  t.match(letters.at(-1), {
    message: '3 more: 3 events with other causes',
    remedy: 'postbell events --status FAILED',
  });
  // A shell gives the command the text as it is.
  const line = letters[1]!.remedy!.split('then: ')[1]!;
  const args = execFileSync('/bin/sh', ['-c', `postbell() { printf '%s\\n' "$@"; }; ${line}`], {
    encoding: 'utf8',
  });
  t.equal(args, 'replay\n--error\nError: it\'s "5% off" $HOME; cause: x\n');
  t.match(await cli.inside([...args.trimEnd().split('\n'), '--yes', '--json']), { stdout: '"replayed":3' });
});

t.test('--strict fails for what needs a person, and for nothing else', async (t) => {
  const { url, cli, diagnose } = await openPatient(t);
  const inbox = await openInboxOn(t, url, { policy: { HEARTBEAT_SECONDS: 30 } });
  const [dead, unhandled] = [newEvent(), newEvent({ topic: 'charge.failed' })];
  await storeEvents(inbox, [dead, unhandled]);
  await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE event_id = $1`, [dead.eventId]);
  const idle = await diagnose(['--strict']);
  t.match(idle, { code: 1, ok: false });
  t.same(
    idle.checks.filter(({ needsPerson }) => needsPerson).map(({ check }) => check),
    ['web', 'worker'],
  );
  t.match(await cli.inside(['doctor', '--strict']), {
    code: 1,
    stdout: '3 to look at (2 that need a person), 0 failed',
  });
  await inbox.sql(`INSERT INTO postbell_processes (process_id, kind, host, version)
    SELECT gen_random_uuid(), kind, 'host', '0.2.0' FROM unnest(ARRAY['web', 'worker']) AS kind`);
  const running = await diagnose(['--strict']);
  t.match(running, { code: 0, ok: true });
  t.match(running.find('topics'), [{ status: 'warn' }], 'advice is no failure');
  await inbox.sql(`UPDATE webhook_events SET status = 'FAILED' WHERE event_id = $1`, [dead.eventId]);
  t.match(await diagnose(['--strict']), { code: 1, ok: false });
  t.match(await diagnose(), { code: 0, ok: true });
});

t.test(
  '--strict fails for a source that only rejects, and for an alert that nobody has acknowledged',
  async (t) => {
    const { url, diagnose } = await openPatient(t);
    const inbox = await openInboxOn(t, url, { policy: { HEARTBEAT_SECONDS: 30 } });
    const { sql } = inbox;
    await sql(`INSERT INTO postbell_processes (process_id, kind, host, version)
    SELECT gen_random_uuid(), kind, 'host', '0.2.0' FROM unnest(ARRAY['web', 'worker']) AS kind`);
    const reject = (reason: string, hoursAgo: number, rejected: number) =>
      sql(
        `INSERT INTO rejection_counts (source, slot_at, reason, rejected, last_at)
       SELECT 'stripe', at, $1, $3, at FROM (SELECT now() - make_interval(hours => $2) AS at) AS slot`,
        [reason, hoursAgo, rejected],
      );
    await reject('wrong_signature', 3, 2);
    await reject('missing_header', 3, 500);
    t.match(await diagnose(['--strict']), { code: 0, ok: true }, 'a few requests are anybody’s');
    await reject('wrong_signature', 5, 40);
    const rejecting = await diagnose(['--strict']);
    t.equal(rejecting.code, 1);
    t.match(rejecting.find('rejected stripe'), [
      { needsPerson: true, message: /no delivery was accepted in the last 24 h, and 42 requests rejected/ },
    ]);
    const event = newEvent();
    await storeEvents(inbox, [event]);
    await sql(`UPDATE webhook_events SET status = 'PROCESSED', received_by = 'pull'`);
    t.match(await diagnose(['--strict']), { code: 1 }, 'a pulled event is no accepted delivery');
    await sql(`UPDATE webhook_events SET received_by = 'webhook'`);
    t.match(await diagnose(['--strict']), { code: 0 });

    await sql(`INSERT INTO alerts (kind, source, facts, began_at, raised_at)
    VALUES ('silence', 'stripe', '{"count": 60, "silentSeconds": 3600}', now(), now()), ('connections', '', '{"count": 9, "limit": 10}', now(), NULL)`);
    const alerted = await diagnose(['--strict']);
    t.equal(alerted.code, 1);
    t.match(alerted.find('alerts'), [
      {
        needsPerson: true,
        message: /^silence since .*: nothing has arrived for stripe/,
        remedy: /alerts ack --kind silence --source stripe/,
      },
    ]);
    await sql(`UPDATE alerts SET acknowledged_at = now(), acknowledged_by = 'ada'`);
    t.match(await diagnose(['--strict']), { code: 0 });
  },
);

t.test('topics without a handler warn', async (t) => {
  const handlers = `export default [{ provider: 'stripe', topic: 'refund.*', async handle() {} }];`;
  const { url, diagnose } = await openPatient(t, { handlers });
  await storeEvents(await openInboxOn(t, url), [
    newEvent(),
    newEvent(),
    newEvent({ topic: 'charge.failed' }),
  ]);
  const { find } = await diagnose();
  t.match(find('topics'), [
    { status: 'warn', message: /stripe invoice\.paid \(2\), stripe charge\.failed \(1\)/ },
  ]);
});

t.test('handlers that cannot be loaded, or are none, fail', async (t) => {
  const broken = await openPatient(t, { handlers: 'throw new Error("no config");' });
  t.match((await broken.diagnose()).find('handlers'), [
    { status: 'fail', message: /no config at \/.*index\.ts:1$/ },
  ]);
  const wrong = await openPatient(t, { handlers: 'export default [{}];' });
  t.match((await wrong.diagnose()).find('handlers'), [
    { status: 'fail', message: /handler 1: provider is missing/ },
  ]);
  const unknown = `export default [{ provider: 'strpe', topic: '*', async handle() {} }];`;
  t.match((await (await openPatient(t, { handlers: unknown })).diagnose()).find('handlers'), [
    { status: 'fail', message: /handler 1: there is no provider "strpe"; did you mean stripe\?/ },
  ]);
  const none = await wrong.diagnose([], { POSTBELL_HANDLERS: 'nowhere.ts' });
  t.match(none.find('handlers'), [{ status: 'fail', message: /there is no file/ }]);
  t.equal(none.code, 1);
});

t.test('handlers that keep their process alive do not keep doctor', async (t) => {
  const { cli } = await openPatient(t, { handlers: 'setInterval(() => {}, 1_000); export default [];' });
  t.equal((await cli(['doctor'])).code, 0);
});

t.test('rejected requests are grouped by reason; with a source, listed one by one', async (t) => {
  const { url, diagnose } = await openPatient(t);
  const { database } = await openInboxOn(t, url);
  const refuse = (source: string, reason: string, minutesAgo: number, detail: string | null = null) =>
    recordRejection(database, {
      source,
      reason,
      detail,
      requestId: `request-${minutesAgo}`,
      receivedAt: new Date(Date.now() - minutesAgo * 60_000),
      bodyBytes: 10,
      skipped: 0,
    });
  await refuse('shopify', 'wrong_signature', 3_000);
  await refuse('stripe', 'too_old', 30, '312 s old');
  await refuse('stripe', 'too_new', 25, `99 s ahead; ${unconfirmed}`);
  await refuse('stripe', 'wrong_signature', 20);
  await refuse('stripe', 'wrong_signature', 10);
  const all = await diagnose();
  t.match(all.find('rejected stripe'), [
    {
      status: 'warn',
      message: /^2 requests, last .*: wrong_signature$/,
      remedy: /STRIPE_WEBHOOK_SECRET \(Dashboard/,
    },
    { status: 'warn', message: /too_new/, remedy: /an old forgery/ },
    { status: 'warn', message: /too_old \(312 s old\), 10 bytes, request request-30$/, remedy: /clock/ },
  ]);
  t.match(all.find('rejected shopify'), [{ status: 'ok' }], 'two days ago is history');
  const one = await diagnose(['stripe']);
  t.same(
    one.find('rejected stripe').map(({ message }) => /request-\d+/.exec(message)?.[0]),
    ['request-10', 'request-20', 'request-25', 'request-30'],
  );
  t.same(one.find('rejected shopify'), []);
  t.match((await diagnose(['shopify'])).find('sources'), [
    { status: 'fail', message: /not on/, remedy: /SHOPIFY_WEBHOOK_SECRET/ },
  ]);
});

t.test('clocks that differ, notifications that do not arrive and unknown versions warn', async (t) => {
  const config = parseConfig({}).config!;
  const answering = (row: object, listen: Partial<Database> = {}) =>
    ({
      config,
      database: { query: async () => ({ rows: [row] }), ...listen },
    }) as unknown as CheckContext;
  const secondsAgo = (seconds: number) => answering({ now: new Date(Date.now() - seconds * 1_000) });
  t.match(await checkClock(secondsAgo(60)), [{ status: 'warn', message: /60\.\d s ahead of the database/ }]);
  t.match(await checkClock(secondsAgo(-60)), [{ status: 'warn', message: /60\.\d s behind the database/ }]);
  t.match(await checkClock(secondsAgo(4)), [{ status: 'ok' }]);
  const deaf = answering({}, { listen: () => ({ isListening: () => true, close: async () => {} }) });
  t.match(await checkListen(deaf), [{ status: 'warn', remedy: /DATABASE_POOLER=true/ }]);
  const facts = { readonly: false, server: 100, role: -1, database: -1 };
  const old = await checkServer(answering({ ...facts, number: 140_011, version: '14.11' }), []);
  t.match(old[0], { status: 'fail', message: 'Postgres 14.11 is too old' });
  const unknown = await checkServer(answering({ ...facts, number: 190_000, version: '19.0' }), []);
  t.match(unknown[0], { status: 'warn', message: 'Postgres 19.0 was not tested' });
});
