// A run: every event of the stretch comes in once, pages and cursors, and what a bad answer does.
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { listRecoveries } from '../../src/events/recoveries.ts';
import type { RecoverSource } from '../../src/providers/index.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { type RecoverTaskOptions, recoverTask } from '../../src/pull/recover-task.ts';
import { createSlots } from '../../src/pull/slots.ts';
import { startRecovering } from '../../src/pull/start.ts';
import { atEnd } from '../support/at-end.ts';
import { openInbox } from '../support/inbox.ts';
import { type ApiReply, type Listed, paypalKey, standIns, startApi, testKey } from './api.ts';
import { quickLimits, recovererOn, recoverSourceOf } from './recovering.ts';

const inbox = await openInbox(t);
const { sql, database } = inbox;
const run = recovererOn(inbox);
t.beforeEach(async () => {
  await sql('DELETE FROM webhook_events');
  await sql('DELETE FROM recoveries');
});

const stripeEvent = (nth: number, at = Date.now() - nth * 1_000): Listed => ({
  id: `evt_${nth}`,
  at,
  item: {
    id: `evt_${nth}`,
    object: 'event',
    type: 'invoice.paid',
    created: Math.floor(at / 1_000),
    data: { object: { id: `in_${nth}`, amount: nth } },
  },
});
const listed = (count: number) => Array.from({ length: count }, (_, index) => stripeEvent(count - index));
const rows = () =>
  sql(
    'SELECT event_id, topic, received_by, provider, occurred_at, payload, job_id, duplicates FROM webhook_events ORDER BY event_id',
  );
const openStripe = async (t: Test, events: readonly Listed[]) => {
  const api = await startApi(t, (call) => standIns.stripe(events, call, 2));
  return { api, recover: recoverSourceOf('stripe', api.url) };
};

t.test('every event of the stretch comes in once, as the webhook would have brought it', async (t) => {
  const events = [stripeEvent(900, Date.now() - 4 * 86_400_000), ...listed(5)];
  const { api, recover } = await openStripe(t, events);
  t.match(await run(t, recover), { recovered: 5, known: 0, pages: 3, way: 'pull', isComplete: true });
  const found = await rows();
  t.equal(found.length, 5);
  t.match(
    found.find(({ event_id }) => event_id === 'evt_4'),
    {
      topic: 'invoice.paid',
      received_by: 'pull',
      provider: 'stripe',
      payload: { id: 'evt_4', data: { object: { amount: 4 } } },
      occurred_at: Date,
      job_id: String,
    },
  );
  t.equal(api.calls[0]!.headers.authorization, `Bearer ${testKey}`);
  const [recovery] = await listRecoveries(database);
  t.match(recovery, {
    source: 'stripe',
    recovered: 5,
    pages: 3,
    runSince: null,
    runCursor: null,
    lastError: null,
  });

  t.match(
    await run(t, recover),
    { recovered: 0, known: 5 },
    'the next run begins 15 minutes before the end of this one',
  );
  const since = Number(api.calls.at(-1)!.query.get('created[gte]')) * 1_000;
  t.ok(Math.abs(recovery!.recoveredUntil!.getTime() - 15 * 60_000 - since) < 1_000);
  t.ok(
    (await rows()).every(({ duplicates }) => duplicates === 0),
    'what is pulled again is no delivery',
  );
});

t.test('a dry run counts and changes nothing', async (t) => {
  const { recover } = await openStripe(t, listed(3));
  t.match(await run(t, recover, { isDryRun: true }), { recovered: 3, known: 0 });
  t.same(await rows(), []);
  t.same(await listRecoveries(database), []);
});

t.test('a run that ends early goes on at its page, and its stretch is not forgotten', async (t) => {
  const { api, recover } = await openStripe(t, listed(5));
  t.match(await run(t, recover, { maxPages: 1 }), { recovered: 2, isComplete: false });
  t.match(await listRecoveries(database), [{ recoveredUntil: null, runCursor: 'evt_2', runSince: Date }]);
  t.match(await run(t, recover), { recovered: 3, isComplete: true });
  t.equal(api.calls[1]!.query.get('starting_after'), 'evt_2');
  t.match(await listRecoveries(database), [{ recoveredUntil: Date, runCursor: null, runSince: null }]);
});

t.test('a stretch that begins after the last run leaves the cursor of time as it was', async (t) => {
  const { recover } = await openStripe(t, listed(3));
  await run(t, recover, { since: new Date(Date.now() - 60_000) });
  await sql(`UPDATE recoveries SET recovered_until = now() - interval '1 day'`);
  const before = (await listRecoveries(database))[0]!.recoveredUntil;
  await run(t, recover, { since: new Date(Date.now() - 60_000) });
  t.same((await listRecoveries(database))[0]!.recoveredUntil, before);
});

t.test('a run over a later stretch does not forget the beginning of an unfinished one', async (t) => {
  const { recover } = await openStripe(t, listed(5));
  await run(t, recover, { maxPages: 1 });
  const begun = (await listRecoveries(database))[0]!.runSince;
  await run(t, recover, { since: new Date(Date.now() - 60_000) });
  t.same((await listRecoveries(database))[0]!.recoveredUntil, begun);
});

t.test(
  'after a pause longer than the provider keeps its list, the cursor of time moves on again',
  async (t) => {
    const { recover } = await openStripe(t, listed(3));
    await run(t, recover);
    await sql(`UPDATE recoveries SET recovered_until = now() - interval '40 days'`);
    t.match(await run(t, recover), { known: 3 });
    t.ok((await listRecoveries(database))[0]!.recoveredUntil!.getTime() > Date.now() - 60_000);
  },
);

t.test('one run at a time in the cluster; a run whose lock is lost ends', async (t) => {
  const { api, recover } = await openStripe(t, listed(3));
  const real = api.reply;
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  api.reply = async (call) => {
    reach();
    await held;
    return real(call);
  };
  const first = run(t, recover);
  await reached;
  t.equal(await run(t, recover), undefined, 'another process sees that a run is on');
  const rejected = t.rejects(first, { name: 'ConnectionLostError' });
  await sql(`SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
  release();
  await rejected;
  t.same(await rows(), [], 'the page that was being read was not taken');
  api.reply = real;
  t.match(await run(t, recover), { recovered: 3 });
});

const bad: readonly (readonly [what: string, reply: ApiReply, message: RegExp])[] = [
  ['HTML', { body: '<html><body>Sign in</body></html>' }, /is HTML, not JSON; check STRIPE_API_URL/],
  ['text that is no JSON', { body: '{"data": [' }, /is not JSON/],
  ['an empty answer', { body: '' }, /no list of items/],
  ['wrong types', { body: { data: { id: 'evt_1' } } }, /no list of items/],
  ['items that are no objects', { body: { data: ['evt_1'] } }, /no list of items/],
  [
    'an item without its id',
    { body: { data: [{ type: 'invoice.paid' }] } },
    /has no id where the provider has it/,
  ],
  ['a page that leads to itself', { body: { data: [{ id: 'evt_2' }], has_more: true } }, /leads to itself/],
  [
    'a cursor without end',
    { body: { data: [{ id: `evt_${'x'.repeat(3_000)}` }], has_more: true } },
    /cursor that is no text/,
  ],
  ['10 MB', { body: `{"data":["${'x'.repeat(10 * 1_048_576)}"]}` }, /more than 10 MB/],
  ['compressed', { headers: { 'content-encoding': 'gzip' }, body: 'x' }, /is compressed/],
  [
    'a redirect',
    { status: 302, headers: { location: 'https://example.com/' } },
    /a redirect, which is not followed/,
  ],
  ['401', { status: 401, body: {} }, /the key was not accepted; check STRIPE_API_KEY \(restricted key/],
  ['429 again and again', { status: 429 }, /answered 429 again and again/],
  ['a pause of an hour', { status: 429, headers: { 'retry-after': '3600' } }, /asks for a pause of 3600 s/],
  ['no answer', { status: 0 }, /cannot be reached/],
];
for (const [what, reply, message] of bad) {
  t.test(`${what}: a clear error; what was taken stays, and the cursor`, async (t) => {
    const { api, recover } = await openStripe(t, listed(3));
    const real = api.reply;
    api.reply = (call) => (call.query.has('starting_after') ? reply : real(call));
    const error = await run(t, recover).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    t.match(error?.message, message);
    t.notMatch(error?.message ?? '', new RegExp(testKey));
    t.equal((await rows()).length, 2);
    const [recovery] = await listRecoveries(database);
    t.match(recovery, { recoveredUntil: null, recovered: 2, runSince: Date, lastError: message });
    api.reply = real;
    t.match(await run(t, recover), { isComplete: true });
    t.equal((await rows()).length, 3, 'the next run takes the rest');
  });
}

t.test('a cursor with which every run fails for an hour is dropped', async (t) => {
  const { api, recover } = await openStripe(t, listed(3));
  const real = api.reply;
  api.reply = (call) => (call.query.has('starting_after') ? { status: 500 } : real(call));
  await t.rejects(run(t, recover));
  const before = api.calls.length;
  await t.rejects(run(t, recover));
  t.ok(api.calls.slice(before).every(({ query }) => query.has('starting_after')));
  await sql(`UPDATE recoveries SET cursor_at = now() - interval '61 minutes'`);
  api.calls.length = 0;
  api.reply = real;
  t.match(await run(t, recover), { isComplete: true, pages: 2 });
  t.notOk(api.calls[0]!.query.has('starting_after'), 'it begins anew');
  t.equal((await rows()).length, 3);
});

t.test(
  'pages that lead in a circle fail the run; the next run begins anew, so newer events come in',
  async (t) => {
    const events = listed(6);
    const { api, recover } = await openStripe(t, events);
    const real = api.reply;
    // evt_2 leads to evt_4, and evt_4 back to evt_2.
    api.reply = (call) => {
      if (call.query.get('starting_after') === 'evt_4') call.query.delete('starting_after');
      return real(call);
    };
    const refused = {
      message: /the pages of GET \/v1\/events lead in a circle/,
      failure: 'unexpected_answer',
    };
    await t.rejects(run(t, recover, { maxPages: 50 }), refused);
    t.equal((await rows()).length, 4, 'the pages that it had read were taken');
    t.match(await listRecoveries(database), [
      { recoveredUntil: null, runCursor: null, failure: 'unexpected_answer', failingSince: Date },
    ]);
    t.equal(api.calls.length, 3);
    events.push(stripeEvent(0), stripeEvent(-1));
    await t.rejects(run(t, recover, { maxPages: 50 }), refused);
    t.ok((await rows()).some(({ event_id }) => event_id === 'evt_-1'));
    api.reply = real;
    t.match(await run(t, recover), { isComplete: true });
    t.equal((await rows()).length, 8);
  },
);

t.test('429 and Retry-After, a lost connection and a 500 are tried again', async (t) => {
  const { api, recover } = await openStripe(t, listed(3));
  const real = api.reply;
  const replies: ApiReply[] = [
    { status: 429, headers: { 'retry-after': '1' } },
    { status: 0 },
    { status: 500 },
  ];
  api.reply = (call) => replies.shift() ?? real(call);
  const startedAt = performance.now();
  t.match(await run(t, recover), { recovered: 3 });
  t.ok(performance.now() - startedAt >= 900, 'it waited as it was told');
  t.equal(api.calls.length, 5, 'three tries of the first page, its answer, and the second page');
});

t.test('RECOVER_MINUTES: a source is asked when it is due, after a failure not at once', async (t) => {
  const { api, recover } = await openStripe(t, [stripeEvent(3), stripeEvent(1)]);
  const pass = passOf(t, recover);
  await pass();
  t.equal((await rows()).length, 2);
  const since = Number(api.calls[0]!.query.get('created[gte]')) * 1_000;
  t.ok(since > Date.now() - 16 * 60_000, 'the first run reads 15 minutes, not the whole past');
  await pass();
  t.equal(api.calls.length, 1, 'an hour has not passed');
  await sql(`UPDATE recoveries SET ended_at = now() - interval '61 minutes'`);
  await pass();
  t.equal(api.calls.length, 2);
  api.reply = () => ({ status: 401 });
  await sql(`UPDATE recoveries SET ended_at = now() - interval '61 minutes'`);
  await pass();
  await pass();
  t.equal(api.calls.length, 3);
  t.match(inbox.logs.at(-1), {
    msg: 'a source could not be recovered; trying again later',
    error: /key was not accepted/,
  });
});

t.test('a list of 1,000 pages without a new event, again and again, becomes a failure', async (t) => {
  const { recover } = await openStripe(t, listed(5));
  await run(t, recover);
  const part = () => run(t, recover, { since: new Date(Date.now() - 86_400_000), maxPages: 1 });
  for (let nth = 0; nth < 4; nth++) t.match(await part(), { isComplete: false, recovered: 0 });
  t.match(await listRecoveries(database), [{ failure: null, lastError: null, emptyParts: 4 }]);
  await part();
  t.match(await listRecoveries(database), [
    { failure: 'unexpected_answer', failingSince: Date, lastError: /the list may have no end/ },
  ]);
  await run(t, recover);
  t.match(await listRecoveries(database), [{ failure: null, lastError: null, emptyParts: 0 }]);
});

t.test('RECOVER_MINUTES: a list of more than 5,000 known pages is read to its end', async (t) => {
  const { api, recover } = await openStripe(t, listed(20));
  await run(t, recover);
  await sql(
    `UPDATE recoveries SET recovered_until = now() - interval '1 day', ended_at = now() - interval '2 hours'`,
  );
  const pass = passOf(t, recover, { maxPages: 1 });
  api.calls.length = 0;
  for (let nth = 0; nth < 5; nth++) await pass();
  t.match(await listRecoveries(database), [{ emptyParts: 5, failure: 'unexpected_answer' }]);
  for (let nth = 0; nth < 5; nth++) {
    await pass();
    t.equal(api.calls.length, 5 + nth, 'after a failure not at once');
    // The interval passes.
    await sql(
      `UPDATE recoveries SET ${['failing_since', 'started_at', 'ended_at', 'cursor_at']
        .map((name) => `${name} = ${name} - interval '61 minutes'`)
        .join()}`,
    );
    await pass();
  }
  t.same(
    api.calls.map(({ query }) => query.get('starting_after')),
    [null, ...[2, 4, 6, 8, 10, 12, 14, 16, 18].map((nth) => `evt_${nth}`)],
  );
  t.match(await listRecoveries(database), [{ emptyParts: 0, failure: null, runSince: null }]);
});

t.test('one source that waits, and one that fails, keep no other source waiting', async (t) => {
  const slow = await openStripe(t, []);
  const { promise: isReached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: isHeld, resolve: release } = Promise.withResolvers<void>();
  slow.api.reply = async () => {
    reach();
    await isHeld;
    return { status: 401 };
  };
  const log = { uuid: 'u1', eventType: 'user.session.start', published: new Date().toISOString() };
  const quick = await startApi(t, () => ({ body: [log] }));
  const okta = recoverSourceOf('okta', quick.url, { OKTA_API_TOPICS: 'user.session.start' });
  /** Its name makes the first query of the pass fail. */
  const broken = { ...okta, source: { ...okta.source, name: '\0' } };
  const recovering = recoverEveryHour([slow.recover, broken, okta]);
  await isReached;
  while ((await rows()).length === 0) await delay(50);
  t.match(await rows(), [{ event_id: 'u1' }], 'while the first source waits for its provider');
  release();
  await recovering.stop();
});

const recoverEveryHour = (sources: RecoverSource[]) =>
  startRecovering({
    ...inbox,
    config: { RECOVER_MINUTES: 60, STORE_RAW_BODY: false, PAYLOAD_RETENTION_DAYS: 0, SAME_BODY_HOURS: 24 },
    retentionDays: new Map(),
    schedule: { sources, everyMs: 3_600_000 },
  });

t.test('two sources are recovered at the same time; the others wait, and stop at once', async (t) => {
  let running = 0;
  let most = 0;
  const api = await startApi(t, async ({ path }) => {
    most = Math.max(most, ++running);
    await delay(100);
    running--;
    return { body: [{ id: path, type: 'x' }] };
  });
  const sources = ['acme', 'beta', 'crm', 'erp', 'shop'].map((name) =>
    recoverSourceOf(name, api.url, {
      POSTBELL_SOURCES: `${name}=pulled`,
      [`${name.toUpperCase()}_API_PATH`]: `/${name}`,
    }),
  );
  const recovering = recoverEveryHour(sources);
  while ((await rows()).length < sources.length) await delay(50);
  t.equal(most, 2);
  await recovering.stop();

  const slots = createSlots(1);
  const { promise: isHeld, resolve: release } = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const worked: string[] = [];
  const holds = slots.run(stopping.signal, () => isHeld);
  const waits = slots.run(stopping.signal, async () => void worked.push('aborted'));
  const next = slots.run(new AbortController().signal, async () => void worked.push('next'));
  stopping.abort();
  await waits;
  t.same(worked, [], 'while the slot is held');
  release();
  await Promise.all([holds, next]);
  t.same(worked, ['next']);
});

t.test('a run that died goes on at once', async (t) => {
  const { recover } = await openStripe(t, listed(5));
  await run(t, recover, { maxPages: 1 });
  await sql('UPDATE recoveries SET ended_at = NULL');
  await passOf(t, recover)();
  t.equal((await rows()).length, 5);
});

t.test('an outage of ours is followed by a run over its stretch', async (t) => {
  const { api, recover } = await openStripe(t, [stripeEvent(1, Date.now() - 5 * 3_600_000)]);
  const pass = passOf(t, recover);
  await pass();
  t.same(await rows(), [], 'the event is older than the first run reaches');
  const web = (seconds: string) =>
    sql(`INSERT INTO postbell_processes (process_id, kind, host, version, started_at, seen_at)
      VALUES (gen_random_uuid(), 'web', 'web.1', '0.2.0', ${seconds})`);
  await web(`now() - interval '9 hours', now() - interval '6 hours'`);
  await pass();
  t.equal(api.calls.length, 1);
  await web(`now() + interval '1 second', now() + interval '1 second'`);
  await pass();
  t.equal(api.calls.length, 2, 'no web was alive for six hours');
  t.equal((await rows()).length, 1);
  t.match(inbox.logs.at(-1), { recovered: 1, known: 0, msg: /recovered/, outage: { beganAt: String } });
  await sql('DELETE FROM postbell_processes');
});

/** One pass of the task, which asks every hour. */
function passOf(t: Test, recover: RecoverSource, options: Pick<RecoverTaskOptions, 'maxPages'> = {}) {
  const receiver = createPullReceiver(inbox);
  atEnd(t, () => receiver.close());
  const task = recoverTask({
    ...inbox,
    receiver,
    recover,
    config: { RECOVER_MINUTES: 60, STORE_RAW_BODY: false, PAYLOAD_RETENTION_DAYS: 0 },
    limits: quickLimits,
    ...options,
  });
  return () => task.pass(new AbortController().signal);
}

t.test('a token that has ended is replaced once; the run goes on', async (t) => {
  let tokens = 0;
  const event = (nth: number) => ({
    id: `WH-${nth}`,
    at: Date.now() - nth * 1_000,
    item: {
      id: `WH-${nth}`,
      event_type: 'PAYMENT.SALE.COMPLETED',
      create_time: new Date().toISOString(),
      resource: {},
    },
  });
  const api = await startApi(t, (call) => {
    if (call.path === '/v1/oauth2/token') tokens++;
    const isEnded = call.query.has('start_index') && tokens === 1;
    return isEnded ? { status: 401 } : standIns.paypal([event(3), event(2), event(1)], call, 2);
  });
  const recover = recoverSourceOf('paypal', api.url, { PAYPAL_API_KEY: paypalKey });
  t.match(await run(t, recover), { recovered: 3, pages: 2 });
  t.equal(tokens, 2);
});

t.test('a link to another address is refused, and the key stays here', async (t) => {
  const elsewhere = await startApi(t, () => ({ body: [] }));
  const log = { uuid: 'u1', eventType: 'user.session.start', published: new Date().toISOString() };
  const api = await startApi(t, () => ({
    headers: { link: `<${elsewhere.url}/api/v1/logs>; rel="next"` },
    body: [log],
  }));
  const recover = recoverSourceOf('okta', api.url, { OKTA_API_TOPICS: 'user.session.start' });
  await t.rejects(run(t, recover), { message: /leads to another address than OKTA_API_URL/ });
  t.equal(elsewhere.calls.length, 0);
});
