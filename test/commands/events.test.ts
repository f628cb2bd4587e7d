// `events`, `show` and `status`: what is in the inbox, as people and as machines read it.
import t from 'tap';
import { runEvents } from '../../src/commands/events.ts';
import { insertEvents } from '../../src/events/insert.ts';
import { newJobId } from '../../src/queue/queue.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli, fakeTerminal } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, storeEvents } from '../support/inbox.ts';

const [waitingJob, runningJob] = [newJobId(), newJobId()];
const evil = 'evt_\x1b[2J';
const { url } = await createTestDatabase(t);
const cli = createCli(t, { DATABASE_URL: url });
const inbox = await openInboxOn(t, url);
const payloadText = '{"id": "evt_failed", "note": "\\u001b[31m\\u009b2J", "amount": 12345678901234567890.10}';
await storeEvents(inbox, [
  newEvent({ eventId: 'evt_failed', payloadText, headers: { 'user-agent': 'Stripe/1.0 \x1b]0;owned\x07' } }),
  newEvent({ eventId: 'evt_done', topic: 'invoice.created' }),
  newEvent({ eventId: 'evt_twice', topic: 'charge.failed' }),
  newEvent({ eventId: 'evt_twice', source: 'stripe-eu', topic: 'charge.failed' }),
  newEvent({
    eventId: evil,
    topic: 'unknown',
    payloadText: null,
    payloadError: 'utf8',
    rawBody: Buffer.from('\x1b[5m\xff\nend', 'latin1'),
  }),
]);
await inbox.sql(`UPDATE webhook_events SET status = 'FAILED', last_error = 'Error: no \x1b[31mroute', attempts = 2,
  received_at = now() - interval '3 hours', entity = 'pi_1' WHERE event_id = 'evt_failed'`);
await inbox.sql(`INSERT INTO failed_attempts (source, event_id, error, stack, started_at, failed_at) VALUES
  ('stripe', 'evt_failed', 'Error: first \x1b[1m', '    at handle (order-paid.ts:1:1)', '2026-08-01T10:00:00Z', '2026-08-01T10:00:01.5Z'),
  ('stripe', 'evt_failed', 'AttemptLost: heartbeat', NULL, NULL, '2026-08-01T11:00:00Z')`);
await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE event_id = 'evt_done'`);
await inbox.sql(
  `UPDATE webhook_events SET status = 'IGNORED', ignored_reason = 'stale' WHERE source = 'stripe-eu'`,
);

async function ids(...args: string[]): Promise<unknown[]> {
  const { documents } = await cli.inside(['events', '--json', ...args]);
  return documents().map(({ eventId }) => eventId);
}

t.test('each filter of events chooses by itself', async (t) => {
  t.equal((await ids()).length, 5);
  t.same(await ids('--source', 'stripe-eu'), ['evt_twice']);
  t.same(await ids('--topic', 'invoice.paid'), ['evt_failed']);
  t.same((await ids('--topic', 'invoice.*')).sort(), ['evt_done', 'evt_failed']);
  t.same((await ids('--status', 'failed,processed')).sort(), ['evt_done', 'evt_failed']);
  t.same(await ids('--error', 'NO \x1b[31mroute'), ['evt_failed']);
  t.same(await ids('--until', '2h'), ['evt_failed']);
  t.same((await ids('--since', '2h')).length, 4);
  t.same(await ids('--entity', 'pi_1'), ['evt_failed']);
  t.equal((await ids('--limit', '2')).length, 2);
});

t.test('events are one JSON document each, with stable keys', async (t) => {
  const { documents } = await cli(['events', '--json', '--status', 'FAILED']);
  const [event] = documents();
  t.match(event, {
    source: 'stripe',
    provider: 'stripe',
    eventId: 'evt_failed',
    topic: 'invoice.paid',
    status: 'FAILED',
    attempts: 2,
    entity: 'pi_1',
    lastError: 'Error: no \x1b[31mroute',
  });
  t.ok(Date.parse(String(event?.receivedAt)) < Date.now() - 2 * 3_600_000);
});

t.test('events that are found nowhere end with 1', async (t) => {
  t.match(await cli.inside(['events', '--source', 'nobody']), {
    code: 1,
    stdout: /^$/,
    stderr: 'no event matches',
  });
  t.match(await cli.inside(['events', '--source', 'nobody', '--json']), {
    code: 1,
    stdout: /^$/,
    stderr: 'no event matches; no event of the source nobody is stored',
  });
});

t.test('for people it is a table, why included, without a raw control character', async (t) => {
  const { code, stdout } = await cli(['events']);
  t.equal(code, 0);
  t.match(stdout, /^RECEIVED +STATUS +SOURCE +EVENT +TOPIC +TRIES {2}NEXT TRY +WHY\n/);
  t.match(stdout, /FAILED +stripe +evt_failed +invoice\.paid +2 {2}- +Error: no \\x1b\[31mroute\n/);
  t.match(stdout, /IGNORED +stripe-eu +evt_twice +charge\.failed +0 {2}- +stale\n/);
  t.match(stdout, 'evt_\\x1b[2J');
  t.notMatch(stdout, '\x1b');
});

t.test("NEXT TRY is the start of the event's job", async (t) => {
  const waiting = newEvent({ eventId: 'evt_waiting', source: 'shopify' });
  const running = newEvent({ eventId: 'evt_running', source: 'shopify' });
  await inbox.database.transaction(async (tx) => {
    await insertEvents(tx, [
      { ...waiting, jobId: waitingJob },
      { ...running, jobId: runningJob },
    ]);
    await inbox.queue.enqueue(tx, [
      { jobId: waitingJob, events: [waiting], afterSeconds: 1_800 },
      { jobId: runningJob, events: [running] },
    ]);
  });
  // A worker has the job, and the job was lost with a worker before.
  await inbox.sql(`UPDATE pgboss.job SET state = 'active', retry_count = 3 WHERE id = $1`, [runningJob]);
  atEnd(t, async () => void (await inbox.sql(`DELETE FROM webhook_events WHERE source = 'shopify'`)));
  const { stdout } = await cli.inside(['events', '--source', 'shopify']);
  t.match(stdout, /PENDING +shopify +evt_waiting +invoice\.paid +0 {2}in 30 min\n/);
  t.match(stdout, /PENDING +shopify +evt_running +invoice\.paid +0 {2}now\n/);
  const { documents } = await cli.inside(['events', '--source', 'shopify', '--json']);
  const nextTryAt = new Map(documents().map((event) => [event.eventId, event.nextTryAt]));
  const [{ start }] = (await inbox.sql('SELECT start_after AS start FROM pgboss.job WHERE id = $1', [
    waitingJob,
  ])) as [{ start: Date }];
  t.equal(nextTryAt.get('evt_waiting'), start.toISOString());
  t.equal(nextTryAt.get('evt_running'), null);
  t.match((await cli.inside(['show', 'evt_waiting'])).stdout, /^next try +\S+ \S+Z \(in 30 min\)$/m);
  t.notMatch((await cli.inside(['show', 'evt_failed'])).stdout, 'next try');
  t.notMatch((await cli.inside(['events', '--status', 'FAILED'])).stdout, 'NEXT TRY');
});

t.test('a list that is cut says so, as a table and as JSON', async (t) => {
  const more = 'these are the newest 4, and more match: raise --limit';
  t.match(await cli.inside(['events', '--limit', '4']), { code: 0, stderr: more });
  const json = await cli.inside(['events', '--limit', '4', '--json']);
  t.match(json, { code: 0, stderr: more });
  t.equal(json.documents().length, 4, 'each line stays an event');
  t.match(await cli.inside(['events', '--limit', '5']), { code: 0, stderr: /^$/ });
});

t.test('on a terminal no line is longer than it', async (t) => {
  const io = fakeTerminal({ DATABASE_URL: url }, 80);
  t.equal(await runEvents(io, { limit: 50 }), 0);
  const lines = io.printed.out.trimEnd().split('\n');
  t.equal(lines.length, 6);
  t.ok(
    lines.every((line) => line.length <= 80),
    io.printed.out,
  );
  t.match(io.printed.out, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}FAILED {5}stripe +evt_failed /m);
});

t.test('show tells all of one event', async (t) => {
  const { code, stdout } = await cli(['show', 'evt_failed']);
  t.equal(code, 0);
  t.match(stdout, /^status +FAILED$/m);
  t.match(stdout, /^entity +pi_1$/m);
  t.match(stdout, /^ {2}user-agent: Stripe\/1\.0 \\x1b\]0;owned\\x07$/m);
  t.match(stdout, /^ {4}"amount": 12345678901234567890\.10,?$/m, 'numbers as they came');
  t.match(stdout, /^ {2}2026-08-01 10:00:01Z after 1\.5 s {2}Error: first \\x1b\[1m\n {6}at handle/m);
  t.match(stdout, /^ {2}2026-08-01 11:00:00Z {2}AttemptLost: heartbeat$/m);
  t.match(stdout, /^[\n\x20-\x7e\xa0-\uffff]*$/);
});

t.test('show as JSON has the payload as it came', async (t) => {
  const { stdout, documents } = await cli(['show', 'evt_failed', '--json']);
  t.match(stdout, '"amount": 12345678901234567890.10');
  t.match(stdout, /^[\n\x20-\x7e\xa0-\uffff]*$/);
  t.match(documents()[0], {
    eventId: 'evt_failed',
    payload: { note: '\x1b[31m\x9b2J' },
    rawBody: null,
    failures: [{ error: 'Error: first \x1b[1m', failedAt: '2026-08-01T10:00:01.500Z' }, { stack: null }],
  });
});

t.test('show gives the bytes of a body that is no JSON', async (t) => {
  t.match(await cli(['show', evil]), {
    code: 0,
    stdout: /not kept as JSON \(utf8\)\n {2}\\x1b\[5m\ufffd\n {2}end\n/,
  });
  const { documents } = await cli.inside(['show', evil, '--json']);
  t.match(documents()[0], {
    payload: null,
    rawBody: Buffer.from('\x1b[5m\xff\nend', 'latin1').toString('base64'),
  });
});

t.test('an id that several sources have is shown for each, or for the one that is named', async (t) => {
  t.same(
    (await cli.inside(['show', 'evt_twice', '--json'])).documents().map(({ source }) => source),
    ['stripe', 'stripe-eu'],
  );
  const { documents } = await cli.inside(['show', 'evt_twice', '--json', '--source', 'stripe-eu']);
  t.same(
    documents().map(({ source }) => source),
    ['stripe-eu'],
  );
  t.match(await cli.inside(['show', 'evt_twice', '--source', 'nobody']), {
    code: 1,
    stderr: 'there is no event evt_twice of nobody',
  });
});

t.test('status counts by source', async (t) => {
  const { stdout } = await cli(['status']);
  t.match(
    stdout,
    /^SOURCE +PENDING +PROCESSED +FAILED +IGNORED +OLDEST PENDING +LAST RECEIVED +LAST 24 H +P99 TO DONE\n/,
  );
  t.match(stdout, /^stripe +2 +1 +1 +0 +\d+ (?:s|min) +\d+ (?:s|min) +4 +[\d.]+ (?:ms|s|min)$/m);
  t.match(stdout, 'since yesterday: 0 new dead letters; the causes of all: postbell events --status FAILED');
  const { documents } = await cli.inside(['status', '--json']);
  t.match(documents(), [
    {
      sources: [
        { source: 'stripe', pending: 2, processed: 1, failed: 1, ignored: 0 },
        { source: 'stripe-eu', ignored: 1, oldestPendingAt: null },
      ],
    },
  ]);
});

t.test('status compares with the day before, and names sources that need a look', async (t) => {
  await inbox.sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, received_at)
    SELECT source, 'shopify', 'evt_' || n, 't', '{}', sha256('{}'), now() - age
    FROM (VALUES ('shopify', interval '9 days', 1), ('slack', interval '30 hours', 4), ('slack', interval '1 hour', 6))
      AS v (source, age, events), generate_series(10 * events, 11 * events - 1) n`);
  await inbox.sql(
    `INSERT INTO failed_attempts (source, event_id, error) VALUES ('stripe', 'evt_failed', 'Error: again')`,
  );
  await inbox.sql(`INSERT INTO rejection_counts (source, slot_at, reason, rejected, last_at)
    SELECT source, now() - age, reason, rejected, now() - age FROM (VALUES
      ('typeform', interval '1 hour', 'no_secret', 2), ('typeform', interval '2 hours', 'no_secret', 1),
      ('typeform', interval '1 hour', 'too_large', 9), ('stripe', interval '1 hour', 'no_secret', 1),
      ('zendesk', interval '25 hours', 'no_secret', 1)) AS v (source, age, reason, rejected)`);
  const env = {
    STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
    GITHUB_WEBHOOK_SECRET: 'github-secret-0123456789',
    SHOPIFY_WEBHOOK_SECRET: 'shopify-secret-0123456789',
    POSTBELL_SOURCES: 'erp=pulled',
  };
  const { stdout } = await cli.inside(['status'], { env });
  t.match(stdout, /^slack .* 60 min +6 \(\+50 %\) +-$/m);
  t.match(
    stdout,
    /^since yesterday: 1 new dead letter; .*\nnothing received for 7 days: github \(never\), shopify \(9 d\), erp \(never\)\nasked in the last 24 h, but without a secret: typeform \(3 requests\); /m,
  );
  const { documents } = await cli.inside(['status', '--json'], { env });
  const [json] = documents() as unknown as [{ sources: { source: string }[] }];
  t.match(
    json.sources.find(({ source }) => source === 'slack'),
    { last24Hours: 6, previous24Hours: 4, latencyP99Seconds: null },
  );
  t.match(json, {
    silentSources: [{ source: 'github', lastReceivedAt: null }, { source: 'shopify' }, { source: 'erp' }],
    sourcesWithoutSecret: [{ source: 'typeform', rejected: 3 }],
  });
});
