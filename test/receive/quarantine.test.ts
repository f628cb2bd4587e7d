// The quarantine beside receiving: what is kept of rejected requests, its limits, and that it costs nothing while it is off.
import t, { type Test } from 'tap';
import { evaluateAlerts } from '../../src/alerts/evaluate.ts';
import { quarantinePurgeTask } from '../../src/maintenance/purge.ts';
import {
  asDelivery,
  type Provider,
  providers,
  type Rejection,
  type Source,
  signDelivery,
} from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { promoteSlice } from '../../src/receive/promote.ts';
import { createQuarantine, type QuarantineOptions } from '../../src/receive/quarantine.ts';
import { makeSigned } from '../providers/deliveries.ts';
import { openInbox } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { sql } = inbox;
const megabyte = 1_048_576;
const wrong: Rejection = { ok: false, reason: 'wrong_signature' };

t.beforeEach(async () => {
  for (const table of ['quarantined_requests', 'quarantine_refusals', 'alerts'])
    await sql(`DELETE FROM ${table}`);
});

function sourceOf(quarantineMb: number | undefined, name = 'stripe'): Source {
  const { source } = makeSigned(providers.stripe);
  return { ...source, name, ...(quarantineMb === undefined ? {} : { quarantineMb }) };
}

function open(t: Test, sources: readonly Source[], options: Partial<QuarantineOptions> = {}) {
  const quarantine = createQuarantine({
    ...inbox,
    sources: new Map(sources.map((source) => [source.name, source])),
    intervalMs: 5,
    ...options,
  });
  t.teardown(() => quarantine.close());
  let nth = 0;
  /** @param bytes of the body */
  const keep = (source: Source, { bytes = 100, from = '203.0.113.1', rejection = wrong } = {}) => {
    const { request } = makeSigned(providers.stripe, { body: 'x'.repeat(bytes) });
    quarantine.keep({
      source,
      delivery: asDelivery(request, new Date()),
      rejection,
      requestId: `req-${nth++}`,
      address: () => from,
    });
  };
  return { quarantine, keep };
}

const count = async () => (await sql('SELECT count(*)::int AS n FROM quarantined_requests'))[0]!.n as number;
const refusals = () => sql('SELECT source, refused, reason FROM quarantine_refusals');

t.test('a rejected request is kept with its exact bytes, and the headers of its proof alone', async (t) => {
  const source = sourceOf(1);
  const { quarantine } = open(t, [source]);
  const { request } = makeSigned(providers.stripe, { body: Buffer.from([0x7b, 0xff, 0x00, 0x7d]) });
  const delivery = asDelivery(request, new Date('2026-11-29T10:00:00.123Z'));
  delivery.headers.cookie = ['session=1'];
  delivery.headers.authorization = ['Bearer of-a-gateway'];
  delivery.url = '/api/webhooks/stripe?token=of-a-gateway';
  quarantine.keep({ source, delivery, rejection: wrong, requestId: 'req-1', address: () => '203.0.113.1' });
  await waitFor(async () => (await count()) === 1, { what: 'the row' });
  const [row] = await sql('SELECT * FROM quarantined_requests');
  t.match(row, {
    source: 'stripe',
    arrived_at: delivery.receivedAt,
    address: '203.0.113.1',
    reason: 'wrong_signature',
    request_id: 'req-1',
    method: 'POST',
    body: delivery.body,
  });
  t.equal(row!.url, '/api/webhooks/stripe', 'the query is not signed');
  t.same(Object.keys(row!.headers as object).sort(), ['content-type', 'stripe-signature', 'user-agent']);
});

t.test('a replay, and a request without any proof, is never kept', async (t) => {
  const source = sourceOf(1);
  const { quarantine, keep } = open(t, [source]);
  keep(source, { rejection: { ok: false, reason: 'too_old', detail: '312 s old' } as Rejection });
  const { request } = makeSigned(providers.stripe);
  delete request.headers['stripe-signature'];
  const rejection: Rejection = { ok: false, reason: 'missing_header' };
  const delivery = asDelivery(request, new Date());
  quarantine.keep({ source, delivery, rejection, requestId: 'r', address: () => '' });
  keep(source);
  await quarantine.close();
  t.same(await sql('SELECT reason FROM quarantined_requests'), [{ reason: 'wrong_signature' }]);
  t.rejects(
    sql(`INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
      VALUES ('stripe', now(), '', 'too_old', 'r', 'POST', '/', '{}', '', 0)`),
    { code: '23514' },
    'the table forbids it, too',
  );
});

t.test('off: not even a statement', async (t) => {
  let statements = 0;
  const database = {
    ...inbox.database,
    transaction: () => {
      statements++;
      return Promise.reject(new Error('no statement was expected'));
    },
  };
  const [off, on] = [sourceOf(undefined, 'off'), sourceOf(1, 'on')];
  const { quarantine, keep } = open(t, [off, on], { database });
  for (let i = 0; i < 50; i++) keep(off);
  await quarantine.close();
  t.equal(statements, 0);
  keep(on);
  await quarantine.close();
  t.ok(statements > 0, 'the same with a quarantine has one');
});

t.test(
  'an address gets a tenth; the others have room, until the MB are used up: the newest are refused',
  async (t) => {
    const source = sourceOf(1);
    const { quarantine, keep } = open(t, [source]);
    const bytes = 10_000;
    for (let i = 0; i < 30; i++) keep(source, { bytes, from: '203.0.113.66' });
    keep(source, { bytes, from: '203.0.113.1' });
    await quarantine.close();
    const per = await sql(
      'SELECT address, count(*)::int AS n, sum(bytes)::int AS bytes FROM quarantined_requests GROUP BY address ORDER BY address',
    );
    t.match(per, [
      { address: '203.0.113.1', n: 1 },
      { address: '203.0.113.66', n: 9 },
    ]);
    t.ok(Number(per[1]!.bytes) <= megabyte / 10);
    t.same(await refusals(), [{ source: 'stripe', refused: 21, reason: 'address' }]);

    const more = open(t, [source]);
    for (let i = 0; i < 200; i++) more.keep(source, { bytes, from: `203.0.113.${i}` });
    await more.quarantine.close();
    const [sum] = await sql(
      'SELECT sum(bytes)::int AS bytes, (array_agg(request_id ORDER BY id DESC))[1] AS newest FROM quarantined_requests',
    );
    t.ok(Number(sum!.bytes) <= megabyte && Number(sum!.bytes) > 0.97 * megabyte, `${sum!.bytes} bytes`);
    t.not(sum!.newest, 'req-199', 'the newest found no room');
    t.match(await refusals(), [{ reason: 'full' }]);
    const evaluate = () =>
      evaluateAlerts({
        database: inbox.database,
        lateSeconds: 900,
        sizeLimitBytes: undefined,
        isReported: false,
        schedule: { sources: [], everyMs: 0 },
      });
    await evaluate();
    t.match(await sql('SELECT kind, source, facts FROM alerts'), [
      { kind: 'quarantine_full', source: 'stripe', facts: { reason: 'full' } },
    ]);
    await sql(`UPDATE quarantine_refusals SET last_at = now() - interval '61 minutes'`);
    await evaluate();
    t.same(await sql('SELECT kind FROM alerts'), [], 'resolved after an hour without a refusal');
  },
);

t.test('two processes at once keep to one limit', async (t) => {
  const source = sourceOf(1);
  const both = [open(t, [source]), open(t, [source])];
  for (let i = 0; i < 300; i++) both[i % 2]!.keep(source, { bytes: 10_000, from: `203.0.113.${i % 100}` });
  await waitFor(async () => Number((await refusals())[0]?.refused ?? 0) + (await count()) === 300, {
    what: 'all to be kept or counted',
  });
  const [sum] = await sql('SELECT sum(bytes)::int AS bytes FROM quarantined_requests');
  t.ok(Number(sum!.bytes) <= megabyte, `${sum!.bytes} bytes`);
});

t.test('a flood is bounded in memory, and counted', async (t) => {
  const source = sourceOf(100);
  const { quarantine, keep } = open(t, [source], { intervalMs: 600_000 });
  for (let i = 0; i < 3_000; i++) keep(source);
  await quarantine.close();
  t.equal(await count(), 1_000);
  t.same(await refusals(), [{ source: 'stripe', refused: 2_000, reason: 'rate' }]);
});

t.test('a table that somebody holds neither blocks nor loses: the requests are written later', async (t) => {
  const source = sourceOf(1);
  await sql('BEGIN');
  await sql('LOCK TABLE quarantined_requests');
  const { keep } = open(t, [source]);
  keep(source);
  await waitFor(() => inbox.logs.some(({ error }) => String(error).includes('lock timeout')), {
    what: 'a failure',
  });
  await sql('COMMIT');
  await waitFor(async () => (await count()) === 1, { what: 'the row' });
  t.same(await refusals(), []);
});

t.test('requests that Postgres does not take are counted, and keep no others waiting', async (t) => {
  const source = sourceOf(1);
  const { quarantine, keep } = open(t, [source]);
  const { request } = makeSigned(providers.stripe);
  const delivery = { ...asDelivery(request, new Date()), url: '/\0' };
  quarantine.keep({ source, delivery, rejection: wrong, requestId: 'bad', address: () => '' });
  await waitFor(() => inbox.logs.some(({ isLost }) => isLost === true), { what: 'the failure' });
  keep(source);
  await quarantine.close();
  t.equal(await count(), 1);
  t.same(await refusals(), [{ source: 'stripe', refused: 1, reason: 'rate' }]);
});

t.test('a request that alone is more than a tenth is refused at once', async (t) => {
  const source = sourceOf(1);
  const { quarantine, keep } = open(t, [source]);
  keep(source, { bytes: 110_000 });
  await quarantine.close();
  t.equal(await count(), 0);
  t.same(await refusals(), [{ source: 'stripe', refused: 1, reason: 'address' }]);
});

t.test(
  'a promoted body under another id is a suspected replay, with its time and way of arrival',
  async (t) => {
    const github: Provider = providers.github;
    const secret = 'a-secret-of-github-1';
    const source: Source = { name: 'github', provider: github, secrets: [secret], quarantineMb: 1 };
    const now = new Date('2026-11-29T10:00:00.000Z');
    const body = '{"ref":"refs/heads/main"}';
    const url = 'https://shop.example.com/api/webhooks/github';
    const { quarantine } = open(t, [source]);
    for (const id of ['first', 'second']) {
      const request = signDelivery(source, { topic: 'push', now, body, id, url });
      quarantine.keep({
        ...{ source, rejection: wrong, requestId: id, address: () => '' },
        delivery: asDelivery(request, now),
      });
    }
    await quarantine.close();
    const receiver = receiversOn(inbox)(t);
    const { database } = inbox;
    const parts = { database, receiver, source, log: inbox.log, storesRawBody: false };
    const promoted = await promoteSlice(parts, '0');
    t.match(promoted, { counts: { promoted: 1, ignored: 1, known: 0, wrong: 0, unavailable: 0 } });
    t.same(
      await sql(
        'SELECT event_id, status, received_by, received_at, ignored_reason FROM webhook_events ORDER BY event_id',
      ),
      [
        {
          event_id: 'first',
          status: 'PENDING',
          received_by: 'quarantine',
          received_at: now,
          ignored_reason: null,
        },
        {
          ...{ event_id: 'second', status: 'IGNORED', received_by: 'quarantine', received_at: now },
          ignored_reason: 'suspected replay of first',
        },
      ],
    );
    t.equal(await count(), 0);
  },
);

t.test(
  'topics of one body that waited for days run, each: SAME_BODY_HOURS counts from their arrival',
  async (t) => {
    const source: Source = { ...makeSigned(providers.shopify).source, name: 'shopify', quarantineMb: 1 };
    const now = new Date(Date.now() - 4 * 86_400_000);
    const receiver = receiversOn(inbox)(t);
    const parts = { ...inbox, receiver, source, storesRawBody: false };
    const promote = async (topic: string) => {
      const { quarantine } = open(t, [source]);
      const url = 'https://shop.example.com/api/webhooks/shopify';
      const request = signDelivery(source, { topic, now, body: '{"id":1}', id: topic, url });
      const delivery = asDelivery(request, now);
      quarantine.keep({ source, delivery, rejection: wrong, requestId: topic, address: () => '' });
      await quarantine.close();
      t.match(await promoteSlice(parts, '0'), { counts: { promoted: 1, ignored: 0 } }, topic);
    };
    await promote('orders/create');
    await promote('orders/updated');
    await sql(`WITH purged AS (DELETE FROM webhook_events WHERE source = 'shopify' RETURNING *)
    INSERT INTO tombstones (source, event_id, received_at, topic, body_sha256)
    SELECT source, event_id, received_at, topic, body_sha256 FROM purged`);
    await promote('orders/paid');
  },
);

t.test('a request that fails for a reason of ours stays, and the log says why', async (t) => {
  const source = sourceOf(1);
  const { quarantine } = open(t, [source]);
  const now = new Date();
  const url = 'https://shop.example.com/api/webhooks/stripe';
  const delivery = asDelivery(signDelivery(source, { topic: 'invoice.paid', now, url }), now);
  quarantine.keep({ source, delivery, rejection: wrong, requestId: 'r', address: () => '' });
  await quarantine.close();
  let statements = 0;
  const query: typeof inbox.database.query = (statement) =>
    statements++ === 0 ? inbox.database.query(statement) : Promise.reject(new Error('a mistake of ours'));
  const parts = { ...inbox, database: { ...inbox.database, query }, receiver: receiversOn(inbox)(t), source };
  const slice = await promoteSlice({ ...parts, storesRawBody: false, isDryRun: true }, '0');
  t.match(slice, { counts: { promoted: 0, unavailable: 1 } });
  t.match(inbox.logs.at(-1), {
    error: /a mistake of ours/,
    msg: 'a kept request could not be promoted',
  });
});

t.test('the purge deletes after QUARANTINE_DAYS', async (t) => {
  await sql(`INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
    SELECT 'stripe', now() - make_interval(days => d), '', 'wrong_signature', d, 'POST', '/', '{}', '', 500
    FROM unnest(ARRAY[9, 8, 6, 0]) d`);
  await quarantinePurgeTask({ ...inbox, days: 7 }).pass(new AbortController().signal);
  t.match(inbox.logs.at(-1), {
    requests: 2,
    msg: 'requests in quarantine were deleted after QUARANTINE_DAYS',
  });
  t.same(await sql('SELECT request_id FROM quarantined_requests ORDER BY id'), [
    { request_id: '6' },
    { request_id: '0' },
  ]);
});

t.test('the setting: a wrong number, a mistyped source, a credential', (t) => {
  const problems = (env: Record<string, string>) => parseSources(env).problems;
  const stripe = { STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef' };
  t.same(problems({ ...stripe, STRIPE_QUARANTINE_MB: '10' }), []);
  t.equal(
    parseSources({ ...stripe, STRIPE_QUARANTINE_MB: '0' }).sources.get('stripe')!.quarantineMb,
    undefined,
  );
  for (const value of ['ten', '-1', '1001', '1.5'])
    t.match(problems({ ...stripe, STRIPE_QUARANTINE_MB: value }), [
      /^STRIPE_QUARANTINE_MB must be a whole number of MB/,
    ]);
  t.match(problems({ ...stripe, STRIP_QUARANTINE_MB: '1' }), [/^STRIP_QUARANTINE_MB belongs to no source/]);
  for (const [name, secret] of [
    ['POSTMARK', 'user:a-long-password-1'],
    ['TELEGRAM', 'a-long-secret-token-1'],
  ] as const)
    t.match(problems({ [`${name}_WEBHOOK_SECRET`]: secret, [`${name}_QUARANTINE_MB`]: '1' }), [
      new RegExp(`^${name}_QUARANTINE_MB cannot be used: .* proves requests by a credential`),
    ]);
  t.end();
});
