// Alerts on a real database: which signals raise which alert, what the endpoint gets, and `postbell alerts`.
import { createHmac, randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import t from 'tap';
import { evaluateAlerts } from '../../src/alerts/evaluate.ts';
import { sendMessages } from '../../src/alerts/send.ts';
import { alertTargetOf } from '../../src/alerts/settings.ts';
import { startAlerts } from '../../src/alerts/tasks.ts';
import { parseConfig } from '../../src/config.ts';
import { timeOrderedUuid } from '../../src/queue/time-ordered-uuid.ts';
import { startApp } from '../forward/app.ts';
import { createCli } from '../support/cli.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { database, log, sql } = inbox;
const app = await startApp(t);
const key = randomBytes(32);
const secret = `whsec_${key.toString('base64')}`;
const target = { url: app.url, secret, inboxName: 'shop-production' };
const cli = createCli(t, { DATABASE_URL: inbox.url });
const never = new AbortController().signal;

t.beforeEach(async () => {
  for (const table of [
    'alerts',
    'alert_messages',
    'webhook_events',
    'hourly_counts',
    'rejection_counts',
    'postbell_processes',
    'recoveries',
    'alert_evaluation',
  ])
    await sql(`DELETE FROM ${table}`);
  app.received = [];
  app.answer = (response) => response.writeHead(204).end();
  await live('worker', 5);
  await live('web', 5);
});

const live = (kind: string, secondsAgo: number, stopped = false) =>
  sql(
    `INSERT INTO postbell_processes (process_id, kind, host, version, seen_at, stopped_at)
     SELECT gen_random_uuid(), $1, $1 || '.1', '0.2.0', at, CASE WHEN $3 THEN at END
     FROM (SELECT now() - make_interval(secs => $2) AS at) AS seen`,
    [kind, secondsAgo, stopped],
  );

const evaluate = (options = {}) =>
  evaluateAlerts({
    database,
    lateSeconds: 900,
    sizeLimitBytes: undefined,
    schedule: { sources: [], everyMs: 0 },
    isReported: true,
    ...options,
  });
const send = (options = {}) => sendMessages({ database, log, target: { ...target, ...options } }, never);
const open = async () =>
  (
    await sql(
      'SELECT kind, source, topic, error_class FROM alerts WHERE raised_at IS NOT NULL ORDER BY kind, source',
    )
  ).map(({ kind, source, topic, error_class: errorClass }) =>
    [kind, source, topic, errorClass].filter((part) => part !== '').join(' '),
  );
/** Arrivals in each hour of the last `days`, up to `quietHours` ago. */
const recordArrivals = (source: string, days: number, quietHours: number) =>
  sql(
    `INSERT INTO hourly_counts (source, hour, topic, received, duplicates, processed, failed, ignored, pending, deferred,
       latency_counts, active_minutes, last_received_at)
     SELECT $1, hour, 'push', 60, 0, 60, 0, 0, 0, 0, array_fill(0, ARRAY[20]), (1::bigint << 60) - 1, hour + interval '59 minutes'
     FROM generate_series(date_trunc('hour', now(), 'UTC') - make_interval(days => $2),
       date_trunc('hour', now(), 'UTC') - make_interval(hours => 1 + $3), interval '1 hour') AS hour`,
    [source, days, quietHours],
  );
const reject = (source: string, reason: string, minutesAgo: number, rejected: number) =>
  sql(
    `INSERT INTO rejection_counts (source, slot_at, reason, rejected, last_at)
     SELECT $1, now() - make_interval(mins => $3), $2, $4, now() - make_interval(mins => $3)`,
    [source, reason, minutesAgo, rejected],
  );
/** PENDING events that could run for so many minutes: their jobs are as old. */
const wait = async (minutes: number, count = 1) => {
  const jobIds = await storeEvents(
    inbox,
    Array.from({ length: count }, () => newEvent()),
  );
  await sql(
    `WITH aged AS (
       UPDATE webhook_events SET received_at = now() - make_interval(mins => $2), job_id = ids.aged
       FROM unnest($1::uuid[], $3::uuid[]) AS ids (job_id, aged) WHERE webhook_events.job_id = ids.job_id)
     UPDATE pgboss.job SET id = ids.aged FROM unnest($1::uuid[], $3::uuid[]) AS ids (job_id, aged) WHERE id = ids.job_id`,
    [jobIds, minutes, jobIds.map(() => timeOrderedUuid(Date.now() - minutes * 60_000))],
  );
};
const accept = (source: string, receivedBy = 'webhook') =>
  storeEvents(inbox, [newEvent({ source })]).then(() =>
    sql('UPDATE webhook_events SET received_by = $2 WHERE source = $1', [source, receivedBy]),
  );
const pull = (source: string) =>
  sql(
    `INSERT INTO recoveries (source, started_at, ended_at, recovered_until) VALUES ($1, now(), now(), now())
     ON CONFLICT DO NOTHING`,
    [source],
  );
const fail = async (count: number, topic: string, error: string) => {
  const events = Array.from({ length: count }, () => newEvent({ topic }));
  await storeEvents(inbox, events);
  await sql(
    `UPDATE webhook_events SET status = 'FAILED', last_error = $2 WHERE topic = $1 AND status = 'PENDING'`,
    [topic, error],
  );
};

t.test('a quiet inbox has no alert', async (t) => {
  await evaluate();
  t.same(await open(), []);
});

t.test('each signal raises its alert, and no other', async (t) => {
  const cases: [string, () => Promise<unknown>, string[]][] = [
    [
      'dead letters by error',
      () => fail(3, 'invoice.paid', 'TypeError: Cannot read card 4242'),
      ['dead_letters stripe invoice.paid TypeError'],
    ],
    [
      'an error without a name',
      () => fail(1, 'invoice.paid', 'no colon here'),
      ['dead_letters stripe invoice.paid Error'],
    ],
    ['untried events', () => wait(16), ['oldest_pending stripe']],
    [
      'old events that were replayed, resumed or promoted just now: their jobs are new',
      async () => {
        await storeEvents(inbox, [newEvent()]);
        await sql(`UPDATE webhook_events SET received_at = now() - interval '30 days'`);
      },
      [],
    ],
    [
      'events that the reconciler leaves without a job',
      async () => {
        await wait(60);
        await sql('UPDATE webhook_events SET job_id = NULL');
      },
      ['oldest_pending stripe'],
    ],
    [
      'a retry that waits is none',
      async () => {
        await wait(1_440);
        await sql('UPDATE webhook_events SET attempts = 2');
      },
      [],
    ],
    [
      'events that wait for the end of a pause are none',
      async () => {
        await wait(60);
        await sql(`UPDATE pgboss.job SET name = 'webhooks-paused'`);
      },
      [],
    ],
    [
      'rejections for ten minutes',
      () => reject('stripe', 'wrong_signature', 12, 3),
      ['everything_rejected stripe'],
    ],
    ['rejections for five minutes', () => reject('stripe', 'wrong_signature', 5, 300), []],
    ['two rejections', () => reject('stripe', 'wrong_signature', 30, 2), []],
    ['requests without a signature', () => reject('stripe', 'missing_header', 30, 1_000), []],
    [
      'rejections before the last accepted delivery',
      async () => {
        await reject('stripe', 'wrong_signature', 30, 50);
        await storeEvents(inbox, [newEvent()]);
        await sql(`UPDATE webhook_events SET received_at = now() - interval '2 minutes'`);
      },
      [],
    ],
    [
      'rejections, while events are only pulled',
      async () => {
        await pull('stripe');
        await reject('stripe', 'wrong_signature', 30, 50);
        await accept('stripe', 'pull');
      },
      ['everything_rejected stripe'],
    ],
    [
      'rejections of a source that is pulled as well, before the last accepted delivery',
      async () => {
        await pull('stripe');
        await reject('stripe', 'wrong_signature', 30, 50);
        await accept('stripe', 'redelivery');
      },
      [],
    ],
    [
      'a proxy that removes the signature',
      async () => {
        await recordArrivals('stripe', 3, 2);
        for (const minutesAgo of [25, 20, 15]) await reject('stripe', 'missing_header', minutesAgo, 10);
      },
      ['everything_rejected stripe'],
    ],
    [
      'a scanner without a signature',
      async () => {
        await recordArrivals('stripe', 3, 2);
        await reject('stripe', 'missing_header', 25, 1_000);
      },
      [],
    ],
    ['a flood of replays', () => reject('shopify', 'replay_flood', 5, 1), ['replay_flood shopify']],
    ['silence', () => recordArrivals('github', 20, 1), ['silence github']],
    [
      'an hour that has not been quiet',
      async () => {
        await recordArrivals('github', 20, 0);
        await storeEvents(inbox, [newEvent({ source: 'github' })]);
      },
      [],
    ],
    ['a new source', () => recordArrivals('github', 5, 20), []],
    [
      'a source without its secret',
      async () => {
        await recordArrivals('github', 3, 0);
        await reject('github', 'no_secret', 3, 5);
      },
      ['lost_secret github'],
    ],
    ['a provider that was never set up', () => reject('shopify', 'no_secret', 3, 500), []],
    [
      'a dead worker',
      () => sql(`UPDATE postbell_processes SET seen_at = now() - interval '3 minutes' WHERE kind = 'worker'`),
      ['no_worker'],
    ],
    [
      'a worker that a deploy has just stopped',
      () =>
        sql(
          `UPDATE postbell_processes SET seen_at = now() - interval '3 minutes', stopped_at = now() WHERE kind = 'worker'`,
        ),
      [],
    ],
    [
      'a dead web',
      () => sql(`UPDATE postbell_processes SET seen_at = now() - interval '3 minutes' WHERE kind = 'web'`),
      ['no_web'],
    ],
    [
      'a dead worker, whose counts have stopped',
      async () => {
        await recordArrivals('github', 20, 3);
        await sql(
          `UPDATE postbell_processes SET seen_at = now() - interval '3 minutes' WHERE kind = 'worker'`,
        );
      },
      ['no_worker'],
    ],
  ];
  for (const [title, arrange, expected] of cases) {
    await t.test(title, async (t) => {
      await sql('DELETE FROM alerts');
      await arrange();
      await evaluate();
      // The patience of the alert: replayed events have no job for some seconds.
      await sql(`UPDATE alerts SET began_at = began_at - interval '2 minutes' WHERE kind = 'oldest_pending'`);
      await evaluate();
      t.same(await open(), expected);
      for (const table of ['webhook_events', 'hourly_counts', 'rejection_counts'])
        await sql(`DELETE FROM ${table}`);
      await sql('UPDATE postbell_processes SET seen_at = now(), stopped_at = NULL');
      for (const source of ['stripe', 'github']) await accept(source);
      await evaluate();
      await sql(`UPDATE alerts SET cleared_at = cleared_at - interval '30 minutes'`);
      await evaluate();
      t.same(await open(), [], 'and is resolved');
      for (const table of ['webhook_events', 'recoveries']) await sql(`DELETE FROM ${table}`);
    });
  }
});

t.test('an alert that waits for an arrival does not end because its signals are old', async (t) => {
  await recordArrivals('github', 20, 3);
  await reject('stripe', 'wrong_signature', 30, 50);
  await evaluate();
  t.same(await open(), ['everything_rejected stripe', 'silence github']);
  // After three days the rejections are not read any more; after 28 the arrivals.
  for (const table of ['rejection_counts', 'hourly_counts']) await sql(`DELETE FROM ${table}`);
  await pull('stripe');
  await accept('stripe', 'pull');
  t.match(await evaluate(), { resolved: [] });
  t.same(await open(), ['everything_rejected stripe', 'silence github']);
  await accept('stripe');
  await accept('github');
  t.match(await evaluate(), { resolved: [{ kind: 'everything_rejected' }, { kind: 'silence' }] });
});

t.test('more events than are counted', async (t) => {
  await fail(5, 'invoice.paid', 'TypeError: no');
  await fail(2, 'charge.failed', 'Error: no');
  await sql(`UPDATE webhook_events SET received_at = now() - interval '1 hour' WHERE topic = 'invoice.paid'`);
  await wait(20, 4);
  await evaluate();
  const limits = { events: 2, statementMs: 4_000 };
  t.match(await evaluate({ limits }), { resolved: [] }, 'alerts of events that were not read stay');
  const facts = await sql('SELECT kind, facts FROM alerts ORDER BY kind, topic');
  t.match(facts, [
    { kind: 'dead_letters', facts: { count: 2, orMore: 'yes' } },
    { kind: 'dead_letters', facts: { count: 5 } },
    { kind: 'oldest_pending', facts: { count: 2, orMore: 'yes' } },
  ]);
  t.match((await cli.inside(['alerts'])).stdout, '2 dead letters or more of stripe, topic charge.failed');
});

t.test('a signal that takes too long silences no other', async (t) => {
  await fail(1, 'invoice.paid', 'TypeError: no');
  await recordArrivals('github', 20, 1);
  await evaluate();
  t.same(await open(), ['dead_letters stripe invoice.paid TypeError', 'silence github']);
  await sql('DELETE FROM alerts WHERE kind = $1', ['silence']);
  const locker = await openSession(t, inbox.url);
  await locker('BEGIN');
  await locker('LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
  const evaluation = await evaluate({ limits: { events: 100, statementMs: 100 } });
  await locker('ROLLBACK');
  t.same([...evaluation!.unread], ['deadLetters', 'late', 'arrivals'], 'the others were read');
  t.same(await open(), ['dead_letters stripe invoice.paid TypeError'], 'what is not read stays as it is');
  t.match(await sql('SELECT count(*)::int AS n FROM alert_evaluation'), [{ n: 1 }]);
});

t.test('web evaluates only where no worker does', async (t) => {
  const start = () =>
    startAlerts({
      database,
      log,
      config: { ...parseConfig({}).config!, ALERT_INTERVAL_SECONDS: 1 },
      schedule: { sources: [], everyMs: 0 },
      kind: 'web',
    });
  const evaluated = (interval: string) =>
    sql(
      `INSERT INTO alert_evaluation (evaluated_at) VALUES (now() - $1::interval)
      ON CONFLICT (only_row) DO UPDATE SET evaluated_at = excluded.evaluated_at`,
      [interval],
    );
  await fail(1, 'invoice.paid', 'TypeError: no');
  await evaluated('2 seconds');
  const web = start();
  t.teardown(() => web.stop());
  await waitFor(async () => (await open()).length > 0, { what: 'an evaluation in place of the worker' });
  const [row] = await sql(
    `SELECT now() - evaluated_at < interval '2 seconds' AS "isNew" FROM alert_evaluation`,
  );
  t.match(row, { isNew: true });
});

t.test('limits of the database', async (t) => {
  await evaluate({ sizeLimitBytes: 1_000_000 });
  t.same(await open(), ['database_size']);
  await evaluate({ sizeLimitBytes: 1e12 });
  t.same(await open(), ['database_size'], 'it may swing around its limit for an hour');
});

t.test(
  'the endpoint gets one signed message for each edge, in order, with counts and names alone',
  async (t) => {
    await fail(2, 'invoice.paid', 'TypeError: Cannot read card 4242');
    await fail(1, 'charge.failed', 'Error: no');
    await evaluate();
    await evaluate();
    await sql(`UPDATE webhook_events SET status = 'IGNORED'`);
    await evaluate();
    t.equal(await send(), 2);
    t.equal(await send(), 0);
    const [raised, resolved] = app.received;
    t.equal(app.received.length, 2);
    const id = String(raised!.headers['webhook-id']);
    const signed = `${id}.${raised!.headers['webhook-timestamp']}.${raised!.body}`;
    t.equal(
      raised!.headers['webhook-signature'],
      `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    );
    const body = JSON.parse(String(raised!.body));
    t.match(body, {
      type: 'postbell.alert.raised',
      data: {
        inbox: 'shop-production',
        total: 2,
        alerts: [
          {
            kind: 'dead_letters',
            source: 'stripe',
            topic: 'invoice.paid',
            error_class: 'TypeError',
            facts: { count: 2 },
            text: '2 dead letters of stripe, topic invoice.paid, error TypeError',
            command: "postbell events --status FAILED --source stripe --topic 'invoice.paid'",
          },
          { topic: 'charge.failed' },
        ],
      },
    });
    t.notMatch(String(raised!.body), '4242', 'no text of an error');
    t.match(JSON.parse(String(resolved!.body)), { type: 'postbell.alert.resolved', data: { total: 2 } });
  },
);

t.test('an endpoint that fails is tried again under the same id, and later messages wait', async (t) => {
  app.answer = (response) => response.writeHead(503, { 'retry-after': '1' }).end();
  await fail(1, 'invoice.paid', 'Error: no');
  await evaluate();
  await sql(`UPDATE webhook_events SET status = 'IGNORED'`);
  await evaluate();
  t.equal(await send(), 0);
  t.equal(await send(), 0, 'not before its time');
  t.equal(app.received.length, 1);
  t.match(await sql('SELECT tries, last_error FROM alert_messages ORDER BY id'), [
    { tries: 1, last_error: 'ALERT_URL answered 503' },
    { tries: 0 },
  ]);
  await sql('UPDATE alert_messages SET next_try_at = now()');
  app.answer = (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
  await send();
  t.match((await sql('SELECT last_error FROM alert_messages ORDER BY id'))[0], {
    last_error: /redirects are not followed/,
  });
  await sql('UPDATE alert_messages SET next_try_at = now()');
  app.answer = (response) => response.writeHead(200).end();
  t.equal(await send(), 2);
  t.equal(new Set(app.received.slice(0, 3).map(({ headers }) => headers['webhook-id'])).size, 1);
  t.match(JSON.parse(String(app.received.at(-1)!.body)), { type: 'postbell.alert.resolved' });
});

t.test('an endpoint that refuses a message holds up the others for minutes, not for a day', async (t) => {
  const statuses = [400, 408, 429, 400, 400];
  await fail(1, 'invoice.paid', 'Error: no');
  await evaluate();
  await sql(`UPDATE webhook_events SET status = 'IGNORED'`);
  await evaluate();
  for (const status of statuses) {
    app.answer = (response) => response.writeHead(status).end();
    t.equal(await send(), 0);
    await sql('UPDATE alert_messages SET next_try_at = now()');
  }
  t.match(await sql('SELECT tries, given_up_at IS NULL AS waits FROM alert_messages ORDER BY id'), [
    { tries: 5, waits: false },
    { tries: 0, waits: true },
  ]);
  app.answer = (response) => response.writeHead(200).end();
  t.equal(await send(), 1, 'the next message');
});

t.test('a chat gets no longer text than Discord accepts', async (t) => {
  for (let number = 0; number < 12; number++)
    await fail(1, `${number}${'&'.repeat(190)}`, `${'E'.repeat(300)}: no`);
  await evaluate();
  await send({ secret: undefined, opsUrl: 'https://shop.example.com/ops' });
  const { text } = JSON.parse(String(app.received[0]!.body));
  t.ok(text.length <= 2_000, `${text.length} characters`);
  t.match(
    text,
    /\n• 1 dead letter of stripe.*\nand 1[01] more: postbell alerts\nhttps:\/\/shop.example.com\/ops$/s,
  );
});

t.test('410 ends a message; a day without success, too', async (t) => {
  await fail(1, 'invoice.paid', 'Error: no');
  await evaluate();
  app.answer = (response) => response.writeHead(410).end();
  await send();
  t.match(await sql('SELECT given_up_at IS NULL AS waits FROM alert_messages'), [{ waits: false }]);
});

t.test('two processes look and send at the same time: told once', async (t) => {
  await fail(1, 'invoice.paid', 'Error: no');
  await Promise.all([evaluate(), evaluate(), evaluate()]);
  const sent = await Promise.all([send(), send(), send()]);
  t.equal(
    sent.reduce((sum, count) => sum + count, 0),
    1,
  );
  t.equal(app.received.length, 1);
});

t.test('without a secret the body is a text for a chat', async (t) => {
  await fail(1, 'a<b>&c', 'Error: no');
  await evaluate();
  t.equal(await send({ secret: undefined }), 1);
  const { headers, body } = app.received[0]!;
  t.equal(headers['webhook-signature'], undefined);
  const { text } = JSON.parse(String(body));
  t.match(
    text,
    /^\*Postbell alert \(shop-production\)\*\n• 1 dead letter of stripe, topic a&lt;b&gt;&amp;c, error Error/,
  );
});

t.test("messages have the address of the operators' page where web serves it", async (t) => {
  const ops = { PUBLIC_URL: 'https://shop.example.com/', OPS_PASSWORD: 'p'.repeat(16) };
  const opsUrlOf = (env: Record<string, string>) =>
    alertTargetOf(parseConfig({ ALERT_URL: app.url, ...env }).config!)?.opsUrl;
  t.equal(opsUrlOf(ops), 'https://shop.example.com/ops');
  t.equal(opsUrlOf({ ...ops, OPS_IN_WEB: 'off' }), undefined);
  t.equal(opsUrlOf({ PUBLIC_URL: ops.PUBLIC_URL }), undefined);
  await fail(1, 'invoice.paid', 'Error: no');
  await evaluate();
  await send({ opsUrl: opsUrlOf(ops) });
  t.match(JSON.parse(String(app.received[0]!.body)), { data: { url: 'https://shop.example.com/ops' } });
});

t.test('a topic cannot break out of the command that an operator copies', async (t) => {
  await fail(1, "x'; touch /tmp/y #", 'Error: no');
  await evaluate();
  await send();
  const { alerts } = JSON.parse(String(app.received[0]!.body)).data;
  t.equal(
    alerts[0].command,
    `postbell events --status FAILED --source stripe --topic 'x'\\''; touch /tmp/y #'`,
  );
});

t.test('postbell alerts', async (t) => {
  t.match(await cli.inside(['alerts']), {
    code: 0,
    stdout: /^no alert is open\n\nno alert is sent.*ALERT_URL/,
  });
  await fail(2, 'invoice.paid', 'TypeError: no');
  await evaluate();
  t.match(await cli.inside(['alerts']), { code: 0, stdout: /dead_letters .* 2 dead letters of stripe/ });
  const [document] = (await cli.inside(['alerts', '--json'])).documents();
  t.match(document, {
    isReported: false,
    alerts: [{ kind: 'dead_letters', source: 'stripe', facts: { count: 2 } }],
  });
  t.match(await cli.inside(['status']), {
    stdout: /open alerts: dead_letters \(1\); postbell alerts shows them/,
  });
  t.match(await cli.inside(['alerts', 'ack', '--kind', 'silence']), { code: 1, stdout: /no open alert/ });
  t.match(await cli.inside(['alerts', 'ack', '--kind', 'dead_letter']), {
    code: 1,
    stderr: /did you mean dead_letters/,
  });
  t.match(await cli.inside(['alerts', 'ack', '--source', 'stripe', '--by', 'ada']), {
    code: 0,
    stdout: '1 alert acknowledged by ada: no reminder comes until it is resolved\n',
  });
  t.match(await cli.inside(['alerts']), { stdout: / ada / });
  await sql('UPDATE alerts SET acknowledged_at = NULL, acknowledged_by = NULL');
  t.match(await cli.inside(['alerts', 'ack'], { env: { USER: 'mallory' } }), {
    stdout: `1 alert acknowledged by ${userInfo().username}: no reminder comes until it is resolved\n`,
  });
  await sql(`UPDATE alerts SET acknowledged_by = 'ada'`);
  await evaluate();
  t.match(
    await sql('SELECT acknowledged_by FROM alerts'),
    [{ acknowledged_by: 'ada' }],
    'a later look keeps it',
  );
  t.match(await cli.inside(['alerts', 'tset']), { code: 1, stderr: /did you mean test/ });
});

t.test('postbell alerts names the sources that are not watched for silence', async (t) => {
  const env = {
    SHOPIFY_WEBHOOK_SECRET: 'hush-0123456789',
    SLACK_WEBHOOK_SECRET: '0123456789abcdef'.repeat(2),
  };
  await recordArrivals('github', 20, 0);
  await recordArrivals('shopify', 5, 0);
  await recordArrivals('stripe', 20, 478);
  await sql(`UPDATE hourly_counts SET received = 1, processed = 1 WHERE source = 'stripe'`);
  const { stdout } = await cli.inside(['alerts'], { env });
  t.match(
    stdout,
    /\nnot watched for silence: shopify \(new, until 20\d\d-.*Z\), slack \(nothing in 28 days\), stripe \(too rare\)\n$/,
  );
  const [document] = (await cli.inside(['alerts', '--json'], { env })).documents();
  t.match(document!.notWatchedForSilence, [
    { source: 'shopify', reason: 'new', until: /^20\d\d-/ },
    { source: 'slack', reason: 'none' },
    { source: 'stripe', reason: 'rare' },
  ]);
  await sql('DELETE FROM hourly_counts');
  await recordArrivals('github', 20, 0);
  t.notMatch((await cli.inside(['alerts'])).stdout, /not watched/);
});

t.test('postbell alerts test', async (t) => {
  t.match(await cli.inside(['alerts', 'test']), { code: 1, stderr: /ALERT_URL is not set/ });
  const env = { ALERT_URL: app.url, ALERT_SECRET: secret };
  t.match(await cli.inside(['alerts', 'test'], { env }), {
    code: 0,
    stdout: `${new URL(app.url).origin} accepted the test, signed by ALERT_SECRET\n`,
  });
  t.match(JSON.parse(String(app.received[0]!.body)), { type: 'postbell.alert.test' });
  app.answer = (response) => response.writeHead(404).end();
  t.match(await cli.inside(['alerts', 'test'], { env }), {
    code: 1,
    stdout: /did not arrive at .*: ALERT_URL answered 404/,
  });
  t.same(await sql(`SELECT * FROM alert_messages WHERE sent_at IS NULL`), [], 'it does not arrive later');
  t.match(await cli.inside(['alerts', 'test'], { env: { ALERT_URL: 'ftp://x', ALERT_SECRET: 'abc' } }), {
    code: 78,
    stderr: /ALERT_URL must be an absolute address.*\n.*ALERT_SECRET must be whsec_/s,
  });
});
