// Rejected requests: a sample of one a second and source is diagnosed and written; all are counted; `doctor` says what to do.
import t from 'tap';
import { recordRejection } from '../../src/events/rejected-requests.ts';
import { providers, type Source, signDelivery } from '../../src/providers/index.ts';
import { createRejectionCounter } from '../../src/receive/rejection-counter.ts';
import { createRejectionLog } from '../../src/receive/rejections.ts';
import { deliver } from '../../src/terminal/deliver.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { captureLog, openInbox, openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const rejected = {
  source: 'stripe',
  reason: 'wrong_signature',
  detail: null,
  requestId: 'r',
  receivedAt: new Date(),
  bodyBytes: 1,
};

t.test('a flood costs one look and one row a second; the rest is counted', async (t) => {
  const statements: unknown[][] = [];
  let looks = 0;
  const { log, logs } = captureLog();
  const database = {
    query: async (statement: unknown) => {
      statements.push((statement as { values: unknown[] }).values);
      return { rows: [], rowCount: 0, command: '' };
    },
  };
  const rejections = createRejectionLog(database, log);
  const lookCloser = async () => {
    looks++;
    return { reason: 'wrong_secret', detail: 'looked at' };
  };
  const startedAt = performance.now();
  let sent = 0;
  await waitFor(
    () => {
      for (let i = 0; i < 1_000; i++, sent++) rejections.record(rejected, lookCloser);
      return statements.length === 3;
    },
    { what: 'three rows' },
  );
  t.ok(performance.now() - startedAt >= 2_000, 'three rows take two seconds');
  t.equal(looks, 3);
  t.equal(logs.filter(({ msg }) => msg === 'rejected').length, 3);
  const [first, , third] = statements;
  t.strictSame(first?.slice(0, 3), ['stripe', 'wrong_secret', 'looked at']);
  t.equal(first?.at(-1), 0);
  t.ok(Number(third?.at(-1)) > 1_000, `${third?.at(-1)} of ${sent} were counted`);
  rejections.record({ ...rejected, source: 'github' });
  await waitFor(() => statements.length === 4, { what: 'the row of another source' });
  t.match([statements[3]?.[0], statements[3]?.at(-1)], ['github', 0]);
});

t.test(
  'while the database does not answer, no second write is begun; a failed look is no crash',
  async (t) => {
    const { log, logs } = captureLog();
    const { promise, reject } = Promise.withResolvers<never>();
    let writes = 0;
    const query = () => {
      writes++;
      return promise;
    };
    const rejections = createRejectionLog({ query }, log);
    rejections.record(rejected);
    await waitFor(() => writes === 1, { what: 'the first write' });
    const secondLater = performance.now() + 1_100;
    await waitFor(
      () => {
        rejections.record(rejected);
        return performance.now() > secondLater;
      },
      { what: 'a second to pass' },
    );
    t.equal(writes, 1);
    reject(new Error('gone'));
    await waitFor(() => logs.some(({ msg }) => msg === 'a rejection could not be recorded'), {
      what: 'the log',
    });
    rejections.record(rejected, async () => {
      throw new Error('no look');
    });
    await waitFor(() => logs.some(({ error }) => String(error).includes('no look')), { what: 'the other' });
    t.equal(writes, 1);
  },
);

t.test('the newest 200 of each source are kept', async (t) => {
  const { database, sql } = await openInbox(t);
  await sql(`INSERT INTO rejected_requests (source, reason, request_id, received_at, body_bytes)
    SELECT s, 'too_old', n, now(), 1 FROM unnest(ARRAY['github', 'stripe']) s, generate_series(1, 205) n`);
  await recordRejection(database, { ...rejected, requestId: 'newest', skipped: 7 });
  t.same(
    await sql(
      'SELECT source, count(*)::int, max(request_id) AS newest FROM rejected_requests GROUP BY source ORDER BY source',
    ),
    [
      { source: 'github', count: 205, newest: '99' },
      { source: 'stripe', count: 200, newest: 'newest' },
    ],
  );
});

t.test('all are counted, also while the database is away; processes add up', async (t) => {
  const { database, sql, logs, log } = await openInbox(t);
  let [now, failures] = [new Date('2026-11-29T10:04:59Z'), 2];
  const failing: typeof database = {
    ...database,
    query: (statement, values) =>
      failures-- > 0 ? Promise.reject(new Error('away')) : database.query(statement, values),
  };
  const counters = [failing, database].map((database) =>
    createRejectionCounter({ database, log, now: () => now, intervalMs: 10 }),
  );
  const countAll = () => {
    for (const { count } of counters) {
      count('stripe', 'wrong_signature');
      count('stripe', 'too_old');
      count('stripe', 'too_old');
    }
  };
  countAll();
  now = new Date('2026-11-29T10:05:00Z');
  countAll();
  const total = async () =>
    (await sql('SELECT coalesce(sum(rejected), 0)::int AS n FROM rejection_counts'))[0]!.n;
  await waitFor(async () => (await total()) === 12, { what: 'the counts' });
  t.ok(logs.some(({ error }) => String(error).includes('away')));
  for (const { count } of counters) count('shopify', 'no_secret');
  await Promise.all(counters.map(({ close }) => close()));
  const at = (text: string) => new Date(`2026-11-29T10:${text}Z`);
  t.same(
    await sql(
      'SELECT source, slot_at, reason, rejected, last_at FROM rejection_counts ORDER BY source, slot_at, reason',
    ),
    [
      ['shopify', at('05:00'), 'no_secret', 2, at('05:00')],
      ['stripe', at('00:00'), 'too_old', 4, at('04:59')],
      ['stripe', at('00:00'), 'wrong_signature', 2, at('04:59')],
      ['stripe', at('05:00'), 'too_old', 4, at('05:00')],
      ['stripe', at('05:00'), 'wrong_signature', 2, at('05:00')],
    ].map(([source, slot_at, reason, rejected, last_at]) => ({ source, slot_at, reason, rejected, last_at })),
  );
});

t.test('counts in memory are bounded', async (t) => {
  let written = 0;
  const query = async (statement: unknown) => {
    written = (statement as { values: unknown[][] }).values[0]!.length;
    return { rows: [], rowCount: 0, command: '' };
  };
  const { count, close } = createRejectionCounter({ database: { query }, log: captureLog().log });
  for (let n = 0; n < 10_005; n++) count('stripe', `reason ${n}`);
  await close();
  t.equal(written, 10_000);
});

t.test('web finds out the cause, the caller learns nothing, doctor names it with its remedy', async (t) => {
  const { url } = await createTestDatabase(t);
  const env = {
    DATABASE_URL: url,
    PUBLIC_URL: 'https://shop.example.com',
    POSTBELL_SOURCES: 'stripe-eu=stripe',
    STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
    STRIPE_EU_WEBHOOK_SECRET: 'whsec_fedcba9876543210',
    SHOPIFY_WEBHOOK_SECRET: 'shopify-secret-0123456789',
    SQUARE_WEBHOOK_SECRET: 'square-secret-0123456789',
  };
  const web = startProcess(t, ['web'], { env: { ...env, PORT: '0', HOST: '127.0.0.1' } });
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await web.waitForLog(({ msg }) => msg === 'ready');
  const cli = createCli(t, env);

  const sign = (source: Source, topic: string, now = new Date()) =>
    signDelivery(source, { topic, now, url: `${address}/api/webhooks/${source.name}` });
  const { stripe, shopify, square } = providers;
  const swapped = sign({ name: 'stripe', provider: stripe, secrets: [env.STRIPE_EU_WEBHOOK_SECRET] }, 'x');
  const pretty = sign({ name: 'shopify', provider: shopify, secrets: [env.SHOPIFY_WEBHOOK_SECRET] }, 'x');
  pretty.body = Buffer.from(JSON.stringify(JSON.parse(pretty.body.toString()), null, 3));
  const typed = 'http://shop.example.com/api/webhooks/square/';
  const elsewhere = sign(
    { name: 'square', provider: square, secrets: [env.SQUARE_WEBHOOK_SECRET], webhookUrl: typed },
    'payment.updated',
  );
  const cases = [
    [
      swapped,
      'stripe',
      /other_secret \(signed with the secret of stripe-eu\)/,
      /secret of another source.*STRIPE_WEBHOOK_SECRET/,
    ],
    [
      pretty,
      'shopify',
      /altered_body \(the signature is right once the JSON is written again compactly\)/,
      /proxy/,
    ],
    [elsewhere, 'square', /wrong_url \(signed for http:.*square\/, not for https:/, /set SQUARE_WEBHOOK_URL/],
  ] as const;
  const answers = new Set<string>();
  for (const [request, source, message, remedy] of cases) {
    const found = await waitFor(
      async () => {
        const { status, body } = await deliver(request);
        t.equal(status, 401);
        answers.add(body.replace(/"requestId":"[^"]+"/, ''));
        const { documents } = await cli.inside(['doctor', source, '--json']);
        const [{ checks }] = documents() as unknown as [
          { checks: { check: string; message: string; remedy: string }[] },
        ];
        return checks.find((check) => check.check === `rejected ${source}`);
      },
      { what: `the rejection of ${source}`, intervalMs: 300 },
    );
    t.match(found, { message, remedy });
  }
  t.equal(answers.size, 1, 'one body for every cause');
  web.kill('SIGTERM');
  await web.exited;
  const sql = await openSession(t, url);
  t.match(
    await sql(`SELECT source, sum(rejected) >= 1 AS counted FROM rejection_counts
      WHERE reason = 'wrong_signature' GROUP BY source ORDER BY source`),
    ['shopify', 'square', 'stripe'].map((source) => ({ source, counted: true })),
    'a process that stops writes its last counts',
  );
});
