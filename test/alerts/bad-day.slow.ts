// A bad day of a real web and a real worker: each alert reaches a real endpoint once, and its end once.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { openRig } from '../faults/rig.ts';
import { secret } from '../faults/sender.ts';
import { startApp } from '../forward/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const app = await startApp(t);
const env = {
  ALERT_URL: app.url,
  ALERT_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
  ALERT_INTERVAL_SECONDS: '1',
  HEARTBEAT_URL: `${app.url}&heartbeat`,
  POSTBELL_SOURCES: 'quiet=stripe',
  QUIET_WEBHOOK_SECRET: secret,
};

interface Message {
  type: string;
  data: { alerts: { kind: string; source: string }[] };
}

/** What was told so far, as `edge kind source`. */
const told = () =>
  app.received
    .filter(({ path }) => !path?.endsWith('heartbeat'))
    .flatMap(({ body }) => {
      const { type, data } = JSON.parse(String(body)) as Message;
      return data.alerts.map(({ kind, source }) => `${type.split('.').at(-1)} ${kind} ${source}`.trimEnd());
    })
    .sort();
const until = (...expected: string[]) =>
  waitFor(() => expected.every((one) => told().includes(one)), { what: expected.join(', ') });
const fourWeeks = `INSERT INTO hourly_counts (source, hour, topic, received, duplicates, processed, failed, ignored,
    pending, deferred, latency_counts, active_minutes, last_received_at)
  SELECT 'quiet', hour, 'push', 60, 0, 60, 0, 0, 0, 0, array_fill(0, ARRAY[20]), (1::bigint << 60) - 1, hour + interval '59 minutes'
  FROM generate_series(date_trunc('hour', now(), 'UTC') - interval '28 days',
    date_trunc('hour', now(), 'UTC') - interval '1 hour' * $1, interval '1 hour') AS hour`;

t.test('a bad day', async (t) => {
  const rig = await openRig(t, { url, env });
  await rig.web();
  const worker = await rig.worker();

  // A bug in a handler.
  await rig.sender.deliverUntilAcked({ id: 'evt_bug', act: { do: 'permanent' } });
  await until('raised dead_letters stripe');

  // A wrong secret. Ten minutes pass in the table.
  const forger = rig.newSender({ secret: `whsec_${randomBytes(24).toString('base64')}` });
  for (let number = 0; number < 4; number++) await forger.deliver({ id: `evt_forged_${number}` });
  await sql(`UPDATE webhook_events SET received_at = received_at - interval '40 minutes'`);
  await sql('DELETE FROM hourly_counts');
  await waitFor(async () => (await sql('SELECT FROM rejection_counts')).length > 0, {
    what: 'the rejections',
  });
  await sql(`UPDATE rejection_counts SET slot_at = slot_at - interval '15 minutes'`);
  await until('raised everything_rejected stripe');

  // A source that has been silent for more than an hour, after four weeks of sixty events an hour.
  await sql(fourWeeks, [2]);
  await until('raised silence quiet');

  // All connections but a few are taken, again and again: other test files close theirs meanwhile. Three minutes pass in the table.
  await waitFor(
    async () => {
      const [limits] = await sql(`SELECT current_setting('max_connections')::int * 0.8 AS most,
        (SELECT sum(numbackends) FROM pg_stat_database)::int AS used`);
      const missing = Math.max(0, Math.ceil(Number(limits!.most) - Number(limits!.used)));
      await Promise.all(Array.from({ length: missing }, () => openSession(t, url)));
      await sql(`UPDATE alerts SET began_at = began_at - interval '3 minutes'
        WHERE kind = 'connections' AND began_at > now() - interval '2 minutes'`);
      return told().includes('raised connections');
    },
    { what: 'raised connections', intervalMs: 200 },
  );

  // The worker dies: web looks from now on.
  worker.kill('SIGKILL');
  await worker.exited;
  await sql(`UPDATE postbell_processes SET seen_at = seen_at - interval '3 minutes' WHERE kind = 'worker'`);
  await until('raised no_worker');

  // Everything is fixed.
  await rig.worker();
  await until('resolved no_worker');
  await rig.sender.deliverUntilAcked({ id: 'evt_right' });
  await until('resolved everything_rejected stripe');
  await rig.newSender({ source: 'quiet' }).deliverUntilAcked({ id: 'evt_again' });
  await until('resolved silence quiet');
  await sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE status = 'FAILED'`);
  await until('resolved dead_letters stripe');
  await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'operator' AND pid <> pg_backend_pid()`);
  const isCleared = `UPDATE alerts SET cleared_at = cleared_at - interval '10 minutes'
    WHERE kind = 'connections' AND cleared_at > now() - interval '9 minutes' RETURNING 1`;
  await waitFor(async () => (await sql(isCleared)).length > 0, { what: 'free connections to be seen' });
  await until('resolved connections');

  const kinds = [
    'connections',
    'dead_letters stripe',
    'everything_rejected stripe',
    'no_worker',
    'silence quiet',
  ];
  t.same(
    told().filter((one) => one.startsWith('raised')),
    kinds.map((kind) => `raised ${kind}`),
    'each alert once, and nothing else',
  );
  t.same(
    told().filter((one) => one.startsWith('resolved')),
    kinds.map((kind) => `resolved ${kind}`),
    'the end of each once',
  );
  t.ok(
    app.received.some(({ path }) => path?.endsWith('heartbeat')),
    'HEARTBEAT_URL was pinged',
  );
});
