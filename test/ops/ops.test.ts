// The operators' page over HTTP, without a browser: who gets in, what a change needs, what is escaped, and what the pages say.
import http from 'node:http';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { addressOf, clientAddress } from '../../src/client-address.ts';
import { createServer } from '../../src/http/server.ts';
import { openOpsInbox } from '../../src/ops/inbox.ts';
import type { Deliver } from '../../src/ops/page-deps.ts';
import { registerOps } from '../../src/ops/plugin.ts';
import { loadConnectedSettings } from '../../src/runtime/settings.ts';
import { atEnd } from '../support/at-end.ts';
import { createTestDatabase } from '../support/database.ts';
import { captureLog, openSession, sha256 } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { hostileQueries, storeHostileRows } from './hostile.ts';

const operatorPassword = 'sixteen-letters-of-ops';
const readerPassword = 'sixteen-letters-to-read';
const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);

let now = new Date();
const { log, logs } = captureLog();

function openPage(t: Test, env: Record<string, string> = {}, deliver?: Deliver) {
  const settings = loadConnectedSettings({
    DATABASE_URL: url,
    OPS_PASSWORD: operatorPassword,
    OPS_READONLY_PASSWORD: readerPassword,
    STRIPE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    ...env,
  });
  const app = createServer({ bodyLimitBytes: 1_048_576, log });
  const closing = registerOps(app, { settings, log, now: () => now, ...(deliver && { deliver }) });
  atEnd(t, async () => {
    await app.close();
    for (const { run } of closing) await run();
  });
  const listening = app.listen({ port: 0, host: '127.0.0.1' });
  /** On a real socket, with any header, also those that `fetch` sets itself. */
  const ask = async (
    path: string,
    { method = 'GET', headers = {}, payload = '' }: Asking = {},
  ): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const all = { accept: 'text/html', ...headers };
    http
      .request(`${await listening}${path}`, { method, headers: all }, resolve)
      .on('error', reject)
      .end(payload);
    const response = await promise;
    return { statusCode: response.statusCode!, headers: response.headers, body: await text(response) };
  };
  return { ask };
}

interface Asking {
  method?: string;
  headers?: Record<string, string>;
  payload?: string;
}

interface Answer {
  statusCode: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

const basic = (password: string, name = 'ada') => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const ours = { 'sec-fetch-site': 'same-origin' };
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const { ask } = openPage(t);
const read = (path: string) => ask(path, { headers: basic(readerPassword) });
const post = (path: string, payload = '', headers: Record<string, string> = basic(operatorPassword)) =>
  ask(path, { method: 'POST', payload, headers: { ...form, ...headers } });
const signIn = (password: string, headers: Record<string, string> = ours, asked = ask) =>
  asked('/ops/login', {
    method: 'POST',
    payload: new URLSearchParams({ password, name: 'Ada', next: '/ops/events?status=FAILED' }).toString(),
    headers: { ...form, ...headers },
  });
const cookieIn = (answer: Answer) => String(answer.headers['set-cookie']).split(';')[0]!;

async function store(
  events: readonly { id: string; status?: string; error?: string | undefined; [column: string]: unknown }[],
): Promise<void> {
  for (const { id, status = 'PROCESSED', error, ...columns } of events) {
    const row: Record<string, unknown> = {
      ...{ source: 'stripe', provider: 'stripe', event_id: id, topic: 'invoice.paid', payload: '{}', status },
      ...{ body_sha256: sha256(id), processed_at: status === 'PROCESSED' ? now : null },
      ...{ last_error: error ?? (status === 'FAILED' ? 'Error: x' : null) },
      ...{ ignored_reason: status === 'IGNORED' ? 'no handler' : null, ...columns },
    };
    const names = Object.keys(row);
    await sql(
      `INSERT INTO webhook_events (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
      Object.values(row),
    );
  }
}

t.beforeEach(async () => {
  now = new Date();
  await sql(
    'TRUNCATE webhook_events, failed_attempts, operator_actions, rejected_requests, rejection_counts, postbell_processes, alerts, pauses, rehearsals, captures, captured_requests',
  );
});

t.test(
  'without a sign-in there is nothing but the form, the files of the page, and no connection',
  async (t) => {
    const { ask } = openPage(t);
    const redirect = await ask('/ops/events?status=FAILED');
    t.equal(redirect.statusCode, 303);
    t.equal(redirect.headers.location, '/ops/login?next=%2Fops%2Fevents%3Fstatus%3DFAILED');
    const program = await ask('/ops/events', { headers: { accept: '*/*' } });
    t.match(program, { statusCode: 401, headers: { 'www-authenticate': /^Basic realm/ } });
    t.match(await ask('/ops', { headers: { 'hx-request': 'true' } }), {
      statusCode: 401,
      headers: { 'hx-refresh': 'true' },
    });
    const login = await ask('/ops/login');
    t.equal(login.statusCode, 200);
    const files = [...login.body.matchAll(/(?:src|href)="(\/ops\/assets\/[^"]+)"/g)].map(([, file]) => file!);
    t.equal(files.length, 4);
    for (const file of files)
      t.match(await ask(file), { statusCode: 200, headers: { 'cache-control': /immutable/ } });
    t.equal((await ask('/ops/none')).statusCode, 404);
    for (const path of ['/ops', '/ops/events', '/ops/event', '/ops/replay', '/ops/actions'])
      for (const headers of [
        basic('wrong'),
        { cookie: 'postbell_ops=operator.a.9999999999.b.c' },
        { authorization: 'Basic' },
      ])
        t.not((await ask(path, { headers })).statusCode, 200, path);
    const activity = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postbell ops'`;
    t.equal((await sql(activity)).length, 0);
  },
);

t.test('the form signs in for 12 hours, and leads back to a page of ours only', async (t) => {
  const answer = await signIn(operatorPassword);
  t.match(answer, { statusCode: 303, headers: { location: '/ops/events?status=FAILED' } });
  t.match(
    answer.headers['set-cookie'],
    /; Path=\/ops; HttpOnly; SameSite=Lax$/,
    'plain http on this machine',
  );
  const cookie = cookieIn(answer);
  t.match((await ask('/ops', { headers: { cookie } })).body, 'Ada');
  const forged = cookie.replace(/=operator\.(.)/, (_all, first) => `=operator.${first === 'A' ? 'B' : 'A'}`);
  t.equal((await ask('/ops', { headers: { cookie: forged } })).statusCode, 303, 'another text');
  t.equal(
    (await openPage(t, { OPS_PASSWORD: 'another-password-of-ops' }).ask('/ops', { headers: { cookie } }))
      .statusCode,
    303,
  );
  now = new Date(now.getTime() + 12 * 3_600_000);
  t.equal((await ask('/ops', { headers: { cookie } })).statusCode, 303, 'it has ended');

  const behindRouter = {
    ...ours,
    host: 'shop.example.com',
    'x-forwarded-proto': 'https',
    origin: 'https://shop.example.com',
  };
  t.match((await signIn(operatorPassword, behindRouter)).headers['set-cookie'], /; Secure$/);
  t.match(await signIn(operatorPassword, { ...behindRouter, origin: 'http://shop.example.com' }), {
    statusCode: 400,
    body: 'https',
  });
  for (const next of ['https://evil.example', '//evil.example', '/\\evil.example', '/other', '/opsx']) {
    const payload = new URLSearchParams({ password: operatorPassword, next }).toString();
    const away = await ask('/ops/login', { method: 'POST', payload, headers: { ...form, ...ours } });
    t.equal(away.headers.location, '/ops', next);
  }
  const out = await post('/ops/logout', '', { cookie: cookieIn(await signIn(operatorPassword)), ...ours });
  t.equal((await ask('/ops', { headers: { cookie: cookieIn(out) } })).statusCode, 303, 'signed out');
});

t.test('wrong passwords are limited per address, and keep nobody else out', async (t) => {
  const { ask } = openPage(t);
  const at = (address: string) => ({ ...ours, 'x-forwarded-for': `9.9.9.9, ${address}` });
  const known = cookieIn(await signIn(operatorPassword, at('203.0.113.7'), ask));
  for (let number = 1; number <= 10; number++)
    t.equal((await signIn('wrong', at('203.0.113.7'), ask)).statusCode, 401);
  const refused = await signIn(operatorPassword, at('203.0.113.7'), ask);
  t.match(
    refused,
    { statusCode: 429, headers: { 'retry-after': /^\d+$/ } },
    'even the right one: guesses are not told',
  );
  t.equal((await signIn(operatorPassword, at('203.0.113.8'), ask)).statusCode, 303, 'from elsewhere');
  t.equal(
    (await ask('/ops/rejections', { headers: { cookie: known, ...at('203.0.113.7') } })).statusCode,
    200,
    'a session',
  );
  now = new Date(now.getTime() + 13 * 3_600_000);
  for (let number = 1; number <= 10; number++) await signIn('wrong', at('203.0.113.7'), ask);
  t.equal(
    (await signIn(operatorPassword, { ...at('203.0.113.7'), cookie: known }, ask)).statusCode,
    303,
    'a known browser',
  );
  now = new Date(now.getTime() + 60_000);
  t.equal((await signIn(operatorPassword, at('203.0.113.7'), ask)).statusCode, 303, 'a minute later');
});

t.test('who has the password of readers guesses no more often, in however many browsers', async (t) => {
  const { ask } = openPage(t);
  const at = { ...ours, 'x-forwarded-for': '203.0.113.9' };
  const answers: number[] = [];
  for (let browser = 1; browser <= 3; browser++) {
    const cookie = cookieIn(await signIn(readerPassword, at, ask));
    for (let guess = 1; guess <= 5; guess++)
      answers.push((await signIn('wrong', { ...at, cookie }, ask)).statusCode);
  }
  t.same(answers, [...Array(10).fill(401), ...Array(5).fill(429)]);
});

t.test('an address is the last that a router of ours has seen', (t) => {
  const from = (remoteAddress: string, forwarded?: string) =>
    addressOf({
      socket: { remoteAddress },
      headers: forwarded ? { 'x-forwarded-for': forwarded } : {},
    } as never);
  t.equal(from('10.1.2.3', '1.1.1.1, 203.0.113.7'), '203.0.113.7');
  t.equal(from('::ffff:10.1.2.3', '203.0.113.7'), '203.0.113.7');
  t.equal(from('203.0.113.9', '1.1.1.1'), '203.0.113.9', 'a stranger says what he likes');
  t.equal(from('10.1.2.3', 'unknown'), '10.1.2.3');
  t.equal(from('10.1.2.3'), '10.1.2.3');
  t.equal(from('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  t.equal(from('fd00::1', '2001:db8::9'), '2001:db8:0:0::/64');
  t.equal(clientAddress(undefined, '1.1.1.1, 203.0.113.7'), '203.0.113.7', 'a server that tells nothing');
  t.equal(clientAddress(undefined, ''), '');
  t.end();
});

t.test('a change needs POST, an operator, and a page of ours', async (t) => {
  await store([{ id: 'evt_1', status: 'FAILED' }]);
  const change = (headers: Record<string, string>) =>
    post('/ops/event?source=stripe&id=evt_1', 'action=replay', headers);
  const cookie = cookieIn(await signIn(operatorPassword));
  const readers = cookieIn(await signIn(readerPassword));
  const host = { host: 'shop.example.com' };
  const refused: [string, Record<string, string>][] = [
    ['a reader by password', basic(readerPassword)],
    ['a reader by cookie', { cookie: readers, ...ours }],
    ['another site', { cookie, 'sec-fetch-site': 'cross-site' }],
    ['a neighbouring host', { cookie, 'sec-fetch-site': 'same-site' }],
    [
      'another site with the browser’s password',
      { ...basic(operatorPassword), 'sec-fetch-site': 'cross-site' },
    ],
    ['another origin', { cookie, ...host, origin: 'https://evil.example' }],
    ['no origin at all', { cookie, ...host, origin: 'null' }],
    ['neither header', { cookie }],
  ];
  for (const [who, headers] of refused) t.equal((await change(headers)).statusCode, 403, who);
  t.equal((await change({})).statusCode, 401);
  t.equal((await read('/ops/event?source=stripe&id=evt_1&action=replay')).statusCode, 200);
  t.match(await sql('SELECT status FROM webhook_events'), [{ status: 'FAILED' }]);
  t.notMatch((await read('/ops/event?source=stripe&id=evt_1')).body, '<button class="primary">Replay');
  t.notMatch((await read('/ops/dead-letters')).body, '/ops/replay');
  t.equal((await change({ cookie, ...host, origin: 'https://shop.example.com' })).statusCode, 303);
  t.match(await sql('SELECT status FROM webhook_events'), [{ status: 'PENDING' }]);
});

t.test('one event: replay, run now, ignore with a reason; each is recorded with its operator', async (t) => {
  await store([
    { id: 'evt_1', status: 'FAILED' },
    { id: 'evt_2', status: 'FAILED' },
    { id: 'evt_3', status: 'PENDING', job_id: '00000000-0000-4000-8000-000000000001', attempts: 1 },
  ]);
  await sql(`INSERT INTO pgboss.job (id, name, data, start_after, state) VALUES ('00000000-0000-4000-8000-000000000001', 'webhooks',
    '{}', now() + interval '10 min', 'retry')`);
  const page = await ask('/ops/event?source=stripe&id=evt_3', { headers: basic(operatorPassword) });
  t.match(page.body, /Next try<\/dt><dd><time[^>]*>in (9|10) min/);
  const change = (id: string, fields: string) => post(`/ops/event?source=stripe&id=${id}`, fields);
  t.match(await change('evt_1', 'action=replay'), { statusCode: 303, headers: { location: /done=replay$/ } });
  t.equal((await change('evt_1', 'action=replay')).statusCode, 409, 'PENDING already');
  t.equal((await change('evt_2', 'action=ignore&reason=')).statusCode, 400);
  t.equal((await change('evt_2', 'action=ignore&reason=suspected+replay+of+x')).statusCode, 400);
  t.equal((await change('evt_2', 'action=ignore&reason=refunded+by+hand')).statusCode, 303);
  t.equal((await change('evt_3', 'action=run_now')).statusCode, 303);
  t.equal((await change('evt_3', 'action=delete')).statusCode, 400);
  t.equal((await change('none', 'action=replay')).statusCode, 409);
  const bare = await ask('/ops/event?source=stripe&id=evt_1', {
    method: 'POST',
    headers: basic(operatorPassword),
  });
  t.equal(bare.statusCode, 400, 'without a body');
  t.match(await sql('SELECT status, ignored_reason, job_id FROM webhook_events ORDER BY event_id'), [
    { status: 'PENDING' },
    { status: 'IGNORED', ignored_reason: 'refunded by hand' },
    { status: 'PENDING', job_id: null },
  ]);
  t.match(await sql('SELECT operator, action, reason, done FROM operator_actions ORDER BY id'), [
    { operator: 'ada', action: 'replay', reason: null, done: 1 },
    { operator: 'ada', action: 'ignore', reason: 'refunded by hand', done: 1 },
    { operator: 'ada', action: 'run_now', reason: null, done: 1 },
  ]);
  t.match((await read('/ops/actions')).body, /evt_2.*refunded by hand/s);
});

t.test('pages of a list hold each event once, also those that arrived at the same time', async (t) => {
  const receivedAt = new Date(now.getTime() - 60_000);
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, received_at, body_sha256)
     SELECT 'stripe', 'stripe', 'evt ' || n, 't', '{}', 'PROCESSED', now(), $1::timestamptz + (n % 3) * interval '1 microsecond',
       sha256(int8send(n)) FROM generate_series(1, 130) n`,
    [receivedAt],
  );
  const seen: string[] = [];
  let next: string | undefined = '/ops/events?source=stripe';
  for (let pages = 0; next; pages++) {
    t.ok(pages < 4, 'it ends');
    const { body } = await read(next);
    seen.push(...[...body.matchAll(/>(evt \d+)<\/a>/g)].map(([, id]) => id!));
    next = /href="([^"]+)" rel="next"/.exec(body)?.[1]?.replaceAll('&amp;', '&');
  }
  t.equal(seen.length, 130);
  t.equal(new Set(seen).size, 130);
});

t.test('the list is filtered by each field, by a value in the payload and by the error', async (t) => {
  await store([
    {
      id: 'evt_1',
      payload: '{"data":{"object":{"id":"pi_1","n":[{"a":12345678901234567890}]}}}',
      entity: 'pi_1',
    },
    {
      id: 'evt_2',
      status: 'FAILED',
      error: 'Error: connect ECONNREFUSED 10.0.0.1:5432',
      topic: 'charge.failed',
    },
    {
      id: 'evt_3',
      status: 'FAILED',
      error: 'Error: connect ECONNREFUSED 10.0.0.2:5432',
      topic: 'charge.failed',
      received_at: new Date(now.getTime() - 7_200_000),
    },
    { id: 'evt_4', source: 'shop', status: 'IGNORED' },
  ]);
  const found = async (query: string) =>
    [...(await read(`/ops/events?${query}`)).body.matchAll(/class="id"[^>]*>(evt_\d)</g)]
      .map(([, id]) => id)
      .sort();
  t.same(await found(''), ['evt_1', 'evt_2', 'evt_3', 'evt_4']);
  t.same(await found('status=FAILED&status=IGNORED'), ['evt_2', 'evt_3', 'evt_4']);
  t.same(await found('topic=charge.*&since=1h'), ['evt_2']);
  t.same(await found('source=shop'), ['evt_4']);
  t.same(await found('id=evt_1'), ['evt_1']);
  t.same(await found('entity=pi_1'), ['evt_1']);
  t.same(await found('path=data.object.id&value=pi_1'), ['evt_1']);
  t.same(await found('path=data.object.n.0.a&value=12345678901234567890'), ['evt_1']);
  t.same(await found('error=econnrefused'), ['evt_2', 'evt_3']);
  t.same(await found('group=Error%3A+connect+ECONNREFUSED+*.*.*.*%3A*'), ['evt_2', 'evt_3']);
  const wrong = await read(
    '/ops/events?since=yesterday&path=a&after=2026-99-99T99:99:99.000000Z+a+b&source=%00',
  );
  t.equal(wrong.statusCode, 200);
  t.match(wrong.body, /since: Use an age.*path: Name the value|path: Name the value.*since: Use an age/s);
});

t.test(
  'dead letters are replayed by group: counted, confirmed, in slices, never more than confirmed',
  async (t) => {
    await sql(
      `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, last_error, received_at, body_sha256)
     SELECT 'stripe', 'stripe', 'evt_' || n, CASE WHEN n <= 1200 THEN 'invoice.paid' ELSE 'charge.failed' END, '{}', 'FAILED',
       'Error: order ord_' || n || ' is gone', now() - n * interval '1 second', sha256(int8send(n)) FROM generate_series(1, 1210) n`,
    );
    const groups = (await ask('/ops/dead-letters', { headers: basic(operatorPassword) })).body;
    t.match(groups, '1,210 events in 2 groups');
    const link = /href="(\/ops\/replay[^"]+)">Replay these 1,200/.exec(groups)![1]!.replaceAll('&amp;', '&');
    const question = (await ask(link, { headers: basic(operatorPassword) })).body;
    t.match(question, '1,200 events will run again.');
    t.match((await read(link)).body, '1,200 events will run again.');
    t.notMatch((await read(link)).body, '<form method="post" action="/ops/replay');
    const action = /action="(\/ops\/replay[^"]+)"/.exec(question)![1]!.replaceAll('&amp;', '&');
    // Arrives while the operator reads: it is not among those that were confirmed.
    await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, last_error, received_at, body_sha256)
    VALUES ('stripe', 'stripe', 'late', 'invoice.paid', '{}', 'FAILED', 'Error: order ord_1 is gone', now() + interval '1 second', sha256('late'))`);
    t.equal((await post(action, 'confirmed=0')).statusCode, 400);
    t.equal((await post('/ops/replay?source=stripe', 'confirmed=5')).statusCode, 400, 'without a status');
    t.equal(
      (await post('/ops/replay?status=PENDING', 'confirmed=5')).statusCode,
      400,
      'PENDING is no status to replay',
    );
    const answer = await post(action, 'confirmed=1150');
    t.match(answer, { statusCode: 303, headers: { location: /^\/ops\/action\?id=\d+$/ } });
    const progress = String(answer.headers.location);
    for (
      let parts = 0;
      parts < 10 && (await sql('SELECT FROM operator_actions WHERE ended_at IS NULL')).length > 0;
      parts++
    )
      t.equal((await post(progress)).statusCode, 303);
    t.match(await sql('SELECT action, operator, matched, done FROM operator_actions'), [
      { action: 'replay', operator: 'ada', matched: 1_150, done: 1_150 },
    ]);
    t.match(
      await sql(`SELECT status, count(*)::int, max(event_id) FILTER (WHERE event_id = 'late') AS late FROM webhook_events
    GROUP BY 1 ORDER BY 1`),
      [
        { status: 'FAILED', count: 61, late: 'late' },
        { status: 'PENDING', count: 1_150, late: null },
      ],
    );
    t.match((await read(progress)).body, '1,150 events are PENDING again');
    t.equal((await post(progress)).statusCode, 303, 'once more changes nothing');
    t.match(await sql('SELECT done FROM operator_actions'), [{ done: 1_150 }]);
  },
);

t.test('errors that differ in numbers, line breaks and spaces only are one group', async (t) => {
  await store([
    { id: 'evt_1', status: 'FAILED', error: 'Error: a\n\n  order 17\tis gone ' },
    { id: 'evt_2', status: 'FAILED', error: 'Error: a order 18 is gone' },
  ]);
  t.match((await read('/ops/dead-letters')).body, '2 events in 1 group,');
});

t.test(
  'a replay that was left unfinished goes on where it was; PROCESSED events are warned of',
  async (t) => {
    const { continueReplay, beginAction } = await import('../../src/events/operator-actions.ts');
    const { openPool } = await import('../support/inbox.ts');
    const database = openPool(t, url);
    await sql(
      `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, received_at, body_sha256)
     SELECT 'stripe', 'stripe', 'evt_' || n, 't', '{}', 'PROCESSED', now(), now() - n * interval '1 second', sha256(int8send(n))
     FROM generate_series(1, 700) n`,
    );
    const warning = await ask('/ops/replay?status=PROCESSED', { headers: basic(operatorPassword) });
    t.match(warning.body, /700 events among them are PROCESSED: .*a second time/);
    const id = await database.transaction((tx) =>
      beginAction(tx, 'replay', { operator: 'ada', filter: { statuses: ['PROCESSED'] }, matched: 700 }),
    );
    t.equal(await database.transaction((tx) => continueReplay(tx, id)), true);
    // A worker has finished them since: the cursor keeps them from being taken again.
    await sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE status = 'PENDING'`);
    t.match((await read('/ops')).body, /Unfinished replays.*500 of 700 events/s);
    t.equal((await post(`/ops/action?id=${id}`)).statusCode, 303);
    t.match(await sql('SELECT done, ended_at IS NOT NULL AS ended FROM operator_actions'), [
      { done: 700, ended: true },
    ]);
    const [taken] = await sql(
      `SELECT count(*)::int, max(substr(event_id, 5)::int) AS oldest FROM webhook_events WHERE status = 'PENDING'`,
    );
    t.match(taken, { count: 200, oldest: 200 }, 'the newest, which were not taken before');
  },
);

t.test('the overview says what is wrong first, and nothing where nothing is', async (t) => {
  const processes = (kind: string) =>
    sql(
      `INSERT INTO postbell_processes (process_id, kind, host, version) VALUES (gen_random_uuid(), $1, 'x', '0.2.0')`,
      [kind],
    );
  const headline = async () =>
    /<h1[^>]*>(.*?)<\/h1>/s.exec((await read('/ops')).body)![1]!.replaceAll(/<[^>]*>/g, '');
  await store([{ id: 'evt_1' }]);
  await processes('web');
  t.equal(await headline(), 'No worker is alive.');
  await processes('worker');
  t.equal(await headline(), 'All is well.');
  await store([{ id: 'evt_2', status: 'FAILED' }]);
  t.equal(await headline(), '1 dead letter (stripe 1).');
  await store([{ id: 'evt_3', status: 'PENDING', received_at: new Date(now.getTime() - 300_000) }]);
  t.equal(await headline(), 'The oldest event that was never tried has waited for 5 min.');
  t.match((await read('/ops')).body, /3 events in 24 hours/);
});

t.test('an open alert that no other sentence covers is wrong, until it is acknowledged', async (t) => {
  await sql(`INSERT INTO postbell_processes (process_id, kind, host, version)
    SELECT gen_random_uuid(), kind, 'x', '0.2.0' FROM unnest(ARRAY['web', 'worker']) AS kind`);
  const raise = (kind: string, facts: object, source = 'stripe') =>
    sql(
      `INSERT INTO alerts (kind, source, topic, error_class, facts, began_at, raised_at) VALUES ($1, $2, '', '', $3, now(), now())`,
      [kind, source, JSON.stringify(facts)],
    );
  await raise('silence', { count: 9, silentSeconds: 7_200 });
  await raise('lost_secret', { count: 2 }, 'github');
  await raise('quarantine_full', { count: 3, reason: 'full' });
  await raise('connections', { count: 90, limit: 100 }, '');
  await raise('database_size', { count: 9e9, limit: 1e10 }, '');
  await raise('everything_rejected', { count: 5, reason: 'wrong_signature' });
  await raise('recover_failing', { count: 1, failingSeconds: 60, failure: 'unavailable' });
  const problems = async () =>
    [...(await read('/ops')).body.matchAll(/<a href="[^"]*#(alerts|recoveries)">([^<]*)<\/a>/g)].map(
      ([, place, text]) => `${place}: ${text}`,
    );
  t.same(await problems(), [
    'recoveries: Lost events are not recovered (stripe).',
    'alerts: Alert: nothing has arrived for stripe for 2 h; 9 events were to be expected.',
    'alerts: Alert: github has no secret any more, and its provider still sends: 2 requests answered with 503.',
    'alerts: Alert: the quarantine of stripe has no room: 3 rejected requests not kept (full).',
    'alerts: Alert: 90 of 100 database connections are in use.',
    'alerts: Alert: the database has 9.0 of 10.0 GB.',
    'alerts: Alert: every request for stripe is rejected: 5 since the last accepted one, mostly wrong_signature.',
  ]);
  t.match((await read('/ops')).body, '<section id="alerts">');
  await sql(
    `INSERT INTO rejection_counts (source, slot_at, reason, rejected, last_at) VALUES ('stripe', now(), 'wrong_signature', 5, now())`,
  );
  t.notMatch((await problems()).join(), 'every request for stripe', 'another sentence says it');
  await sql(
    `UPDATE alerts SET acknowledged_at = now(), acknowledged_by = 'ada' WHERE kind <> 'recover_failing'`,
  );
  t.same(await problems(), ['recoveries: Lost events are not recovered (stripe).']);
});

t.test('open alerts are listed, and acknowledged one by one; pauses are listed', async (t) => {
  const raise = (topic: string) =>
    sql(
      `INSERT INTO alerts (kind, source, topic, error_class, facts, began_at, raised_at)
       VALUES ('dead_letters', 'stripe', $1, 'TypeError', '{"count": 3}', now(), now())`,
      [topic],
    );
  await raise('invoice.paid');
  await raise('<script>alert(1)</script>');
  await sql(
    `INSERT INTO pauses (source, topic, reason, paused_by) VALUES ('stripe', 'invoice.*', '<b>', 'grace')`,
  );
  const { body } = await read('/ops');
  t.match(body, '3 dead letters of stripe, topic invoice.paid, error TypeError');
  t.match(body, /stripe --topic &#39;invoice\.\*&#39; since .* by grace, 0 events wait: &lt;b&gt;/);
  t.notMatch(body, /<script>alert|<b>/);
  const one = 'kind=dead_letters&source=stripe&topic=invoice.paid&errorClass=TypeError';
  t.match(await post('/ops/alerts', one, { ...basic(readerPassword), ...ours }), { statusCode: 403 });
  t.match(await post('/ops/alerts', '', { ...basic(operatorPassword), ...ours }), { statusCode: 400 });
  t.match(await post('/ops/alerts', one, { ...basic(operatorPassword), ...ours }), { statusCode: 303 });
  t.same(await sql('SELECT topic, acknowledged_by FROM alerts ORDER BY topic DESC'), [
    { topic: 'invoice.paid', acknowledged_by: 'ada' },
    { topic: '<script>alert(1)</script>', acknowledged_by: null },
  ]);
  t.match((await read('/ops')).body, 'acknowledged by ada');
});

t.test('a database that is away is named with the remedy', async (t) => {
  const { ask } = openPage(t, { DATABASE_URL: 'postgres://ada:sesame-open@127.0.0.1:1/shop' });
  const answer = await ask('/ops', { headers: basic(readerPassword) });
  t.match(answer, { statusCode: 503, body: /The database: no server listens.*start Postgres/s });
  t.notMatch(answer.body, 'sesame');
});

t.test('rejections have the remedy that doctor has', async (t) => {
  await sql(`INSERT INTO rejected_requests (source, reason, request_id, received_at, body_bytes, skipped)
    VALUES ('stripe', 'wrong_signature', 'req_1', now(), 12, 7), ('github', 'no_secret', 'req_2', now(), 12, 0)`);
  const { body } = await read('/ops/rejections');
  t.match(body, /copy the secret again into STRIPE_WEBHOOK_SECRET/);
  t.match(body, /set GITHUB_WEBHOOK_SECRET/);
  t.notMatch((await read('/ops/rejections?source=github')).body, 'STRIPE_WEBHOOK_SECRET');
  t.match(body, 'of each source at most one a second is written, and the newest 200 are kept');
  t.match(body, 'and 7 requests of stripe since the one before');
});

t.test('a payload of a megabyte is cut; a body that is no JSON, and a purged event, are told', async (t) => {
  await store([
    { id: 'evt_1', payload: JSON.stringify({ text: 'ä'.repeat(1_000_000) }) },
    { id: 'evt_2', payload: null, payload_error: 'malformed', raw_body: Buffer.from('{"a":\0<b>') },
  ]);
  await sql(`INSERT INTO tombstones (source, event_id) VALUES ('stripe', 'evt_0') ON CONFLICT DO NOTHING`);
  const large = await read('/ops/event?source=stripe&id=evt_1');
  t.match(large.body, 'larger than 256 KB');
  t.ok(Buffer.byteLength(large.body) < 300_000);
  t.match((await read('/ops/event?source=stripe&id=evt_2')).body, '{&quot;a&quot;:\\x00&lt;b&gt;');
  t.match(await read('/ops/event?source=stripe&id=evt_0'), { statusCode: 404, body: 'was purged on' });
});

t.test('a small payload that would be long when indented is shown as it is', async (t) => {
  const payload = `${'['.repeat(180)}${Array(60_000).fill(1).join()}${']'.repeat(180)}`;
  await store([
    { id: 'evt_1', payload },
    { id: 'evt_2', payload: String.raw`{"a":{"b":"\\\"[[{{"}}`, duplicates: 1 },
  ]);
  const { body } = await read('/ops/event?source=stripe&id=evt_1');
  t.ok(Buffer.byteLength(body) < 1_000_000, `${Buffer.byteLength(body)} bytes`);
  t.match(body, '[[[[[1, 1, 1');
  const small = (await read('/ops/event?source=stripe&id=evt_2')).body;
  t.match(small, '{\n  &quot;a&quot;: {\n    &quot;b&quot;');
  t.match(small, 'and 1 further delivery since');
});

t.test('a body whose signature stands in it is for those who may send', async (t) => {
  const { ask } = openPage(t, { PAYOS_WEBHOOK_SECRET: 'c77d627c1e40b451a4c75ef2890269204e922ae56375eb81' });
  await sql(
    `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body, body_bytes, status, outcome)
     SELECT source, now(), 'r', 'web', 'POST', '/', '{}', convert_to('{"signature":"s3cr3t"}', 'UTF8'), 22, 200, 'accepted'
     FROM unnest(ARRAY['stripe', 'payos', 'unknown']) AS source`,
  );
  const shown: Record<string, boolean[]> = {};
  for (const { id, source } of await sql('SELECT id, source FROM captured_requests ORDER BY id'))
    for (const password of [operatorPassword, readerPassword]) {
      const { body } = await ask(`/ops/request?id=${id}`, { headers: basic(password) });
      shown[String(source)] = [...(shown[String(source)] ?? []), body.includes('s3cr3t')];
    }
  t.same(shown, { stripe: [true, true], payos: [true, false], unknown: [true, false] });
});

t.test('a page cannot write, whoever asks for it', async (t) => {
  const inbox = openOpsInbox(loadConnectedSettings({ DATABASE_URL: url }), log);
  atEnd(t, () => inbox.close());
  await t.rejects(
    inbox.read((tx) => tx.query('DELETE FROM {inbox}.webhook_events')),
    { code: '25006' },
  );
});

t.test('after 3 s a page says that the database took too long, and what is unknown is not 0', async (t) => {
  await store([{ id: 'evt_1' }]);
  const locker = await openSession(t, url);
  await locker('BEGIN');
  await locker('LOCK TABLE rejected_requests, rejection_counts IN ACCESS EXCLUSIVE MODE');
  const [overview, rejections] = await Promise.all([read('/ops'), read('/ops/rejections')]);
  await locker('ROLLBACK');
  t.match(
    overview.body,
    /rejections are missing here.*data-label="Rejected, 24 h"[^>]*><span class="none"[^>]*>\?/s,
  );
  t.match(rejections, { statusCode: 503, body: 'The database took longer than 3 s. Nothing was changed' });
});

t.test('a replay whose slice takes longer than 3 s is begun, which its page says, and goes on', async (t) => {
  await store([{ id: 'evt_1', status: 'FAILED' }]);
  const locker = await openSession(t, url);
  await locker('BEGIN');
  await locker('LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
  const answer = await post('/ops/replay?status=FAILED', 'confirmed=1');
  t.match(answer, { statusCode: 303, headers: { location: /^\/ops\/action\?id=\d+&slow=1$/ } });
  const action = String(answer.headers.location);
  await locker('ROLLBACK');
  const page = await ask(action, { headers: basic(operatorPassword) });
  t.match(page.body, /longer than 3 s: the last part was not done.*0 of 1 event so far.*Go on/s);
  t.notMatch(page.body, 'data-go-on', 'no page asks by itself');
  t.match(await post(action), { statusCode: 303, headers: { location: action.replace('&slow=1', '') } });
  t.match(await sql('SELECT done FROM operator_actions'), [{ done: 1 }]);
});

t.test(
  'an edited request may have made its event although the receiver was late, or its record fails',
  async (t) => {
    let status = 503;
    let whileDelivered = async () => {};
    const { ask } = openPage(t, {}, async () => {
      await whileDelivered();
      return { status, body: '{}' };
    });
    const body = JSON.stringify({ id: 'evt_1', type: 'invoice.paid', data: { object: {} } });
    const resend = () =>
      ask('/ops/resend?source=stripe', {
        method: 'POST',
        headers: { ...form, ...basic(operatorPassword) },
        payload: new URLSearchParams({ body, sure: 'yes' }).toString(),
      });
    t.match(await resend(), { statusCode: 503, body: 'evt_1 may have been made. Look at the events' });
    status = 401;
    t.match(await resend(), { statusCode: 409, body: 'no event was made' });
    status = 200;
    const locker = await openSession(t, url);
    whileDelivered = async () => {
      await locker('BEGIN');
      await locker('LOCK TABLE operator_actions IN ACCESS EXCLUSIVE MODE');
    };
    t.match(await resend(), { statusCode: 303, headers: { location: /id=evt_1&done=resend$/ } });
    await locker('ROLLBACK');
    t.match(JSON.stringify(logs), 'a resend that was accepted could not be recorded');
  },
);

t.test('the times of a question stand still, also where they were relative', async (t) => {
  await store([{ id: 'evt_1', status: 'FAILED' }]);
  const { body } = await ask('/ops/replay?status=FAILED&since=2h', { headers: basic(operatorPassword) });
  t.match(body, /action="\/ops\/replay\?status=FAILED&amp;since=2\d{3}-[^"&]+Z&amp;until=2\d{3}-[^"&]+Z"/);
});

t.test('a search that has only an end begins a day before it; a NUL in an address is left out', async (t) => {
  const at = (time: string) => new Date(time);
  await store([
    { id: 'evt_1', payload: '{"a":"x"}', received_at: at('2026-07-31T12:00:00Z') },
    { id: 'evt_2', payload: '{"a":"x"}', received_at: at('2026-07-30T12:00:00Z') },
  ]);
  const { body } = await read('/ops/events?path=a&value=x&until=2026-08-01');
  t.same(
    [...body.matchAll(/class="id"[^>]*>(evt_\d)</g)].map(([, id]) => id),
    ['evt_1'],
  );
  t.match(body, /name="since"[^>]*value="2026-07-31T00:00:00.000Z"/);
  t.match(await read('/ops/event?source=stripe%00&id=%00evt_1'), { statusCode: 200, body: 'evt_1' });
});

t.test('an unfinished promotion is on the overview, and cannot go on without the secret', async (t) => {
  const [action] = await sql(
    `INSERT INTO operator_actions (operator, action, filter, matched, done) VALUES ('ada', 'promote', '{"source":"github"}', 9, 4)
     RETURNING id::int`,
  );
  await sql(
    `INSERT INTO operator_actions (operator, action, filter, matched) VALUES ('ada', 'erase', '{}', 9)`,
  );
  const { body } = await read('/ops');
  t.match(
    body,
    new RegExp(`<a href="/ops/action\\?id=${action!.id}">4 of 9 requests</a> Quarantine of github`),
  );
  t.equal(body.match(/begun by ada/g)?.length, 1, 'no page goes on with an erasure');
  t.match(await post(`/ops/action?id=${action!.id}`), { statusCode: 400, body: 'github has no secret here' });
});

// --- Nothing that anybody sends becomes markup ---

const elements = new Set(
  'html head meta title link script body a svg path rect header nav ul li div button span form main h1 h2 p table caption thead tbody tr th td details summary pre code kbd dl dt dd ol section strong time input label fieldset legend datalist option dialog progress br select mark textarea'.split(
    ' ',
  ),
);
const attributes = new Set(
  'data-begins lang charset name content rel href type src defer class id tabindex hx-get hx-trigger hx-select hx-swap aria-label aria-current aria-hidden aria-pressed aria-haspopup aria-labelledby hidden viewbox d method action role value placeholder list checked open datetime title data-label data-search data-row data-go-on x y width height maxlength required autofocus autocomplete max selected data-renew-seconds data-soon rows spellcheck autocapitalize'.split(
    ' ',
  ),
);

/** The markup that a page must not have: elements and attributes that none of our templates writes. */
function foreignMarkup(body: string): string[] {
  const found: string[] = [];
  const rest = body.replaceAll(
    /<\/?([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"<>]*")?)*)\s*\/?>/g,
    (whole, name, list) => {
      if (!elements.has(name)) found.push(name);
      if (whole.startsWith('<script') && !list.startsWith(' src="/ops/assets/')) found.push(whole);
      for (const [, attribute] of list.matchAll(/\s([a-zA-Z-]+)(?:="[^"]*")?/g))
        if (!attributes.has(attribute.toLowerCase())) found.push(attribute);
      for (const [, address] of list.matchAll(/\s(?:href|src|action|hx-get)="([^"]*)"/g))
        if (!/^(\/ops|#)/.test(address)) found.push(address);
      return '';
    },
  );
  return [...found, ...(rest.replace('<!doctype html>', '').match(/<.{0,40}/gs) ?? [])];
}

t.test(
  '200 hostile payloads, names and errors: no markup but ours, and a strict policy on every page',
  async (t) => {
    const rowPages = await storeHostileRows(sql);
    const lists = [
      '',
      '/events',
      '/dead-letters',
      '/rejections',
      '/actions',
      '/requests',
      '/requests?up_to=100',
      '/events?status=FAILED',
      '/replay?status=FAILED',
    ];
    const name = basic(operatorPassword, '<b onload="x">');
    for (const path of [...lists.map((page) => `/ops${page}`), ...rowPages, ...hostileQueries]) {
      const answer = await ask(path, { headers: name });
      const found = foreignMarkup(answer.body);
      if (found.length > 0) t.same(found, [], path);
      if (
        !/default-src 'none'; script-src 'self'; style-src 'self';/.test(
          String(answer.headers['content-security-policy']),
        )
      )
        t.fail(`no policy on ${path}`);
      const isWrong = rowPages.includes(path) ? answer.statusCode !== 200 : answer.statusCode >= 500;
      if (isWrong) t.fail(`${answer.statusCode} on ${path}`);
    }
    t.equal(rowPages.length, 400, 'events and captured requests');
  },
);

t.test('OPS_IN_WEB=off takes the page out of web, and postbell ops serves it alone', async (t) => {
  const env = { DATABASE_URL: url, OPS_PASSWORD: operatorPassword, PORT: '0', HOST: '127.0.0.1' };
  const start = async (verb: string, further: Record<string, string> = {}) => {
    const { address } = await startProcess(t, [verb], { env: { ...env, ...further } }).waitForLog(
      (line) => line.msg === 'listening',
    );
    return async (path: string, method = 'GET') =>
      (await fetch(new URL(path, String(address)), { method, headers: basic(operatorPassword) })).status;
  };
  const [web, alone] = await Promise.all([start('web', { OPS_IN_WEB: 'off' }), start('ops')]);
  t.same([await web('/ops'), await web('/webhooks/stripe', 'POST')], [404, 503], 'web');
  t.same(
    [await alone('/ops'), await alone('/webhooks/stripe', 'POST'), await alone('/healthz')],
    [200, 404, 200],
  );
});

t.test('no password is in the log', (t) => {
  t.notMatch(JSON.stringify(logs), /sixteen-letters/);
  t.end();
});
