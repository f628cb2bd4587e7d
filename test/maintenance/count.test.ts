// hourly_counts: equal to the events whatever happened to them, and never less than what has arrived.
import t from 'tap';
import { countEvents, countTask } from '../../src/maintenance/count.ts';
import { purge } from '../../src/maintenance/purge.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { openInbox, openSession } from '../support/inbox.ts';

const inbox = await openInbox(t);
const { database, sql } = inbox;
t.beforeEach(async () => void (await sql('TRUNCATE webhook_events, hourly_counts, recounts CASCADE')));

// Once: the hour may end during the test.
const [{ base }] = (await sql(`SELECT date_trunc('hour', now(), 'UTC') AS base`)) as [{ base: Date }];
let ids = 0;
interface Stored {
  hoursAgo: number;
  status?: string;
  topic?: string;
  session?: typeof sql;
}
/** An event that arrived in the middle of an hour, and was processed 3 s later. @returns its id */
async function arrive({ hoursAgo, status = 'PROCESSED', topic = 'a', session = sql }: Stored) {
  const id = `evt_${++ids}`;
  await session(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, received_at, status, processed_at,
       last_error, ignored_reason, deferrals, duplicates)
     SELECT 'stripe', 'stripe', $1::text, $4, '{}', sha256(convert_to($1::text, 'UTF8')), at, $3::text,
       CASE $3::text WHEN 'PROCESSED' THEN at + interval '3 seconds' END, 'Error: x', CASE $3::text WHEN 'IGNORED' THEN 'stale' END, 1, 2
     FROM (SELECT $5::timestamptz - make_interval(hours => $2) + interval '30 minutes' AS at) AS arrival`,
    [id, hoursAgo, status, topic, base],
  );
  return id;
}
const change = (id: string, status: string) =>
  sql('UPDATE webhook_events SET status = $2 WHERE event_id = $1', [id, status]);

const columns =
  'received, duplicates, processed, failed, ignored, pending, deferred, last_received_at AS last, hour, topic';
const counted = () => sql(`SELECT ${columns} FROM hourly_counts ORDER BY hour, topic`);
/** The same by another statement. */
const ofEvents = () =>
  sql(`SELECT count(*)::int AS received, sum(duplicates)::int AS duplicates, sum((status = 'PROCESSED')::int)::int AS processed,
    sum((status = 'FAILED')::int)::int AS failed, sum((status = 'IGNORED')::int)::int AS ignored,
    sum((status = 'PENDING')::int)::int AS pending, sum((deferrals > 0)::int)::int AS deferred, max(received_at) AS last,
    date_trunc('hour', received_at, 'UTC') AS hour, topic FROM webhook_events GROUP BY hour, topic ORDER BY hour, topic`);

t.test('new events, and events that come late to a counted hour', async (t) => {
  const statuses = ['PROCESSED', 'FAILED', 'IGNORED', 'PENDING'];
  for (const status of statuses)
    for (const [hoursAgo, topic] of [
      [80, 'a'],
      [2, 'a'],
      [2, 'b'],
      [1, 'a'],
    ] as const)
      await arrive({ hoursAgo, status, topic });
  t.match(await countEvents(inbox), { hours: 3 }, 'hours without events are passed over');
  t.same(await counted(), await ofEvents());
  await arrive({ hoursAgo: 1 });
  await arrive({ hoursAgo: 0 });
  await countEvents(inbox);
  t.same(await counted(), await ofEvents());
  t.match(await sql('SELECT sum(received)::int AS n FROM webhook_stats'), [{ n: 18 }]);
  await arrive({ hoursAgo: 0 });
  await arrive({ hoursAgo: -1 });
  t.match(await sql('SELECT sum(received)::int AS n FROM webhook_stats'), [{ n: 20 }], 'without a count');
});

t.test('a replay is counted, also where the event was settled again before the count', async (t) => {
  const id = await arrive({ hoursAgo: 90, status: 'IGNORED' });
  await arrive({ hoursAgo: 5 });
  await countEvents(inbox);
  await change(id, 'PENDING');
  await enqueueEventsWithoutJob(inbox);
  await change(id, 'PROCESSED');
  await countEvents(inbox);
  t.same(await counted(), await ofEvents());
  t.same(await sql('SELECT FROM recounts'), [], 'and asks for no further count');
});

t.test('a pending event and a dead letter are counted again once they are not', async (t) => {
  const pending = await arrive({ hoursAgo: 90, status: 'PENDING' });
  const dead = await arrive({ hoursAgo: 80, status: 'FAILED' });
  await arrive({ hoursAgo: 5 });
  await countEvents(inbox);
  await change(pending, 'PROCESSED');
  await change(dead, 'IGNORED');
  t.match(await countEvents(inbox), { hours: 2 });
  t.same(await counted(), await ofEvents());
  t.match(await countEvents(inbox), { hours: 0 }, 'nothing is left to do');
});

t.test('what was purged or deleted stays counted; nothing is purged before its count', async (t) => {
  await arrive({ hoursAgo: 90 });
  const dead = await arrive({ hoursAgo: 90, status: 'FAILED' });
  const retention = { ...inbox, retentionMs: 0 };
  t.match(await purge(retention), { events: 0 }, 'nothing was counted');
  await countEvents(inbox);
  const before = await counted();
  await arrive({ hoursAgo: 3 });
  t.match(await purge(retention), { events: 1 }, 'of the counted hour');
  await change(dead, 'IGNORED');
  const frozen = new Set<number>();
  t.match(await countEvents(inbox, frozen), { hours: 2 });
  t.match(await countEvents(inbox, frozen), { hours: 0 }, 'which is not counted at every pass');
  t.same((await counted())[0], before[0]);
  await sql('DELETE FROM webhook_events');
  await sql(
    `INSERT INTO recounts (hour) SELECT $1::timestamptz - make_interval(hours => h) FROM unnest(ARRAY[90, 3, 2]) h`,
    [base],
  );
  t.match(await countEvents(inbox), { hours: 3 });
  t.match(await counted(), [{ received: 2 }, { received: 1 }]);
  t.same(await sql('SELECT FROM recounts'), []);
});

t.test('a worker that dies, or is stopped, between two hours: the counts are exact, and go on', async (t) => {
  for (const hoursAgo of [9, 8, 7]) await arrive({ hoursAgo });
  let hours = 0;
  const dying: typeof database = {
    ...database,
    transaction: (work, options) =>
      database.transaction(async (tx) => {
        const result = await work(tx);
        if (++hours === 2) await tx.query('SELECT pg_terminate_backend(pg_backend_pid())');
        return result;
      }, options),
  };
  await t.rejects(countEvents({ database: dying }));
  t.same(await counted(), (await ofEvents()).slice(0, 1));
  t.match(await purge({ ...inbox, retentionMs: 0 }), { events: 1 }, 'the counted event alone is purged');
  const stopping = new AbortController();
  const stopped: typeof database = {
    ...database,
    transaction: (work, options) => {
      stopping.abort();
      return database.transaction(work, options);
    },
  };
  t.match(await countEvents({ database: stopped }, new Set(), stopping.signal), { hours: 1 });
  t.equal((await counted()).length, 2);
  await countEvents(inbox);
  t.match(await counted(), [{ received: 1 }, { received: 1 }, { received: 1 }]);
});

t.test('two workers at once count each event once', async (t) => {
  for (let hoursAgo = 20; hoursAgo > 0; hoursAgo--) await arrive({ hoursAgo });
  await Promise.all([countEvents(inbox), countEvents(inbox)]);
  await countEvents(inbox);
  t.same(await counted(), await ofEvents());
  const other = await openSession(t, inbox.url);
  await other(`SELECT pg_advisory_lock(hashtextextended('postbell counts', 0))`);
  await arrive({ hoursAgo: 0 });
  t.match(await countEvents(inbox), { hours: 0, isTaken: true });
});

t.test('an event whose transaction was open when the hour ended', async (t) => {
  const session = await openSession(t, inbox.url);
  await arrive({ hoursAgo: 9 });
  await arrive({ hoursAgo: 8 });
  await session('BEGIN');
  await arrive({ hoursAgo: 9, session });
  await countEvents(inbox);
  // As if that had been 9 minutes after the turn of the hour.
  await sql(`UPDATE hourly_counts SET counted_at = hour + interval '9 minutes'`);
  await session('COMMIT');
  await countEvents(inbox);
  t.same(await counted(), await ofEvents());
});

t.test('the percentiles lie in the bucket of the exact values', async (t) => {
  const latencies = [0.004, 0.03, 0.3, 0.4, 1.5, 3, 7, 50, 4_000, 100_000];
  for (const [index, seconds] of latencies.entries()) {
    const id = await arrive({ hoursAgo: 3, topic: index % 2 ? 'a' : 'b' });
    await sql(
      'UPDATE webhook_events SET processed_at = received_at + make_interval(secs => $2) WHERE event_id = $1',
      [id, seconds],
    );
  }
  await countEvents(inbox);
  await arrive({ hoursAgo: 0, status: 'PENDING' });
  await countEvents(inbox);
  const stats = 'latency_p50_seconds AS p50, latency_p99_seconds AS p99 FROM webhook_stats ORDER BY hour';
  const [old, now] = await sql(`SELECT ${stats}`);
  t.ok((old!.p50 as number) > 1 && (old!.p50 as number) <= 2, `${old!.p50}, exact 1.5`);
  t.equal(old!.p99, 86_400, 'a day or more');
  t.same(now, { p50: null, p99: null });
});

t.test('the task rests, and deletes what is older than 400 days', async (t) => {
  const task = countTask({ database });
  const pass = () => task.pass(new AbortController().signal);
  await arrive({ hoursAgo: 500 * 24 });
  await pass();
  await sql('DELETE FROM webhook_events');
  await countTask({ database }).pass(new AbortController().signal);
  t.equal((await counted()).length, 1, 'the newest hour stays');
  await arrive({ hoursAgo: 3 });
  await pass();
  t.equal((await counted()).length, 1, 'it was counted a moment ago, by whichever worker');
  await sql(`UPDATE hourly_counts SET counted_at = now() - interval '1 day'`);
  await sql(
    `INSERT INTO rejection_counts SELECT 's', now() - make_interval(days => d), 'r', 1, now() FROM unnest(ARRAY[399, 401]) d`,
  );
  await pass();
  t.equal((await counted()).length, 2);
  await countTask({ database, intervalMs: 0 }).pass(new AbortController().signal);
  t.equal((await counted()).length, 1);
  t.equal((await sql('SELECT FROM rejection_counts')).length, 1);
});
