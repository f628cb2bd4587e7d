// Alerts on a real database: which signals raise which alert, what the endpoint gets, and `postbell alerts`.
import { createHmac, randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import t from 'tap';
import { evaluateAlerts } from '../../src/alerts/evaluate.ts';
import { sendMessages } from '../../src/alerts/send.ts';
import { startApp } from '../forward/app.ts';
import { createCli } from '../support/cli.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

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
    isTold: true,
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
    [
      'untried events',
      async () => {
        await storeEvents(inbox, [newEvent()]);
        await sql(`UPDATE webhook_events SET received_at = now() - interval '16 minutes'`);
      },
      ['oldest_pending stripe'],
    ],
    [
      'a retry that waits is none',
      async () => {
        await storeEvents(inbox, [newEvent()]);
        await sql(`UPDATE webhook_events SET received_at = now() - interval '1 day', attempts = 2`);
      },
      [],
    ],
    [
      'events that wait for the end of a pause are none',
      async () => {
        await storeEvents(inbox, [newEvent()]);
        await sql(`UPDATE webhook_events SET received_at = now() - interval '1 hour'`);
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
      t.same(await open(), expected);
      for (const table of ['webhook_events', 'hourly_counts', 'rejection_counts'])
        await sql(`DELETE FROM ${table}`);
      await sql('UPDATE postbell_processes SET seen_at = now(), stopped_at = NULL');
      await evaluate();
      t.same(await open(), [], 'and is resolved');
    });
  }
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
    stdout: /^no alert is open\n\nnobody is told.*ALERT_URL/,
  });
  await fail(2, 'invoice.paid', 'TypeError: no');
  await evaluate();
  t.match(await cli.inside(['alerts']), { code: 0, stdout: /dead_letters .* 2 dead letters of stripe/ });
  const [document] = (await cli.inside(['alerts', '--json'])).documents();
  t.match(document, {
    isTold: false,
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
