// The numbers of the overview: latencies, exact rejections, and the marks of deploys.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { openOpsPage } from '../support/ops-page.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const { read } = openOpsPage(t, url);
const job = '00000000-0000-4000-8000-000000000001';
const row = async (source: string) => {
  const rows = (await read('/ops', 'reader')).split('<tr>');
  return rows.find((text) => text.includes(`<strong>${source}</strong>`)) ?? '';
};

t.test('p50 and p99 from received to done are those of each source, of the last 24 hours', async (t) => {
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, received_at, processed_at, body_sha256)
    SELECT source, source, 'evt_' || n || age || took, 'topic ' || n % 3, '{}', 'PROCESSED', now() - age, now() - age + took,
      sha256((source || age || took || n)::bytea)
    FROM (VALUES ('stripe', interval '1 h', interval '15 ms', 98), ('stripe', '1 h', '50 s', 2), ('stripe', '30 h', '5 h', 100),
      ('github', '2 h', '7 s', 100)) AS v (source, age, took, events), generate_series(1, events) n`);
  t.match(await row('stripe'), /data-label="p50, p99" class="number">1\d ms, [2-6]\d s</);
  t.match(await row('github'), /data-label="p50, p99" class="number">7\.\d s, \d+(\.\d)? s</);
  t.match(await row('stripe'), /100 events in 24 hours, at most 100 in an hour/);
});

t.test('rejections are counted exactly, not from the sample', async (t) => {
  await sql(`INSERT INTO rejection_counts (source, slot_at, reason, rejected, last_at) VALUES
    ('stripe', now() - interval '1 h', 'wrong_signature', 12000, now() - interval '1 h'),
    ('stripe', now() - interval '2 h', 'too_old', 345, now() - interval '2 h'),
    ('stripe', now() - interval '30 h', 'too_old', 9, now() - interval '30 h')`);
  await sql(
    `INSERT INTO rejected_requests (source, reason, request_id, received_at, body_bytes) VALUES ('stripe', 'too_old', 'r', now(), 1)`,
  );
  t.match(await row('stripe'), /data-label="Rejected, 24 h"[^>]*><a [^>]*>12,345</);
});

t.test('an hour in which processes started is marked, with their kinds and versions', async (t) => {
  t.notMatch(await row('stripe'), 'class="start"');
  await sql(`INSERT INTO postbell_processes (process_id, kind, host, version, started_at) VALUES
    (gen_random_uuid(), 'web', 'a', '0.2.0', now() - interval '30 h'),
    (gen_random_uuid(), 'worker', 'a', '0.3.0', date_trunc('hour', now()) - interval '3 h'),
    (gen_random_uuid(), 'web', 'a', '0.3.0', date_trunc('hour', now()) - interval '3 h')`);
  const text = await row('stripe');
  t.equal(text.match(/class="start"/g)?.length, 1);
  t.match(text, /; web and worker started after \d\d:00Z, version 0\.3\.0"/);
});

t.test('events that a pause holds are not late', async (t) => {
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, job_id, body_sha256)
    VALUES ('stripe', 'stripe', 'evt_held', 't', '{}', now() - interval '1 h', '${job}', sha256('held'))`);
  await sql(
    `INSERT INTO pgboss.job (id, name, data) VALUES ('${job}', 'webhooks-paused', '{"pauses": [1], "events": []}')`,
  );
  const late = 'The oldest event that was never tried has waited';
  const body = await read('/ops');
  t.notMatch(body, late);
  t.match(body, /data-label="Oldest">60 min</, 'its row says how long it waits');
  await sql(`DELETE FROM pgboss.job WHERE id = '${job}'`);
  t.match(await read('/ops'), late);
});
