// Replays of many, and of what lies at a page's edge: a worker that stops stops, and nothing is left behind.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { openRig, type Rig } from './rig.ts';

/** Rows as they are after a bad day, by SQL: thousands of deliveries would take minutes. */
async function insertEvents(rig: Rig, count: number, columns: Record<string, string>): Promise<void> {
  const all: Record<string, string> = {
    source: `'stripe'`,
    provider: `'stripe'`,
    event_id: `'evt_' || n`,
    topic: `'ledger.event'`,
    payload: `'{"data": {"object": {}}}'`,
    body_sha256: 'sha256(int8send(n))',
    ...columns,
  };
  await rig.pool.query(
    `INSERT INTO webhook_events (${Object.keys(all)}) SELECT ${Object.values(all)} FROM generate_series(1, ${count}) n`,
  );
}

t.test('SIGTERM during a mass replay', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await insertEvents(rig, 30_000, {
    status: `'FAILED'`,
    last_error: `'Error: the shop was down'`,
    payload: `'{"data": {"object": {"do": "wait", "ms": 300}}}'`,
  });
  const concurrency = 4;
  const worker = await rig.worker({ WORKER_CONCURRENCY: String(concurrency) });
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING'`);
  await waitFor(() => rig.attempts().length > concurrency, { what: 'the replay to run' });
  worker.kill('SIGTERM');
  const { time } = await worker.waitForLog('stopping');
  t.equal((await worker.exited).code, 0, 'it did not have to exit hard');
  const { rows: left } = await rig.pool.query(
    `SELECT count(*)::int AS count FROM webhook_events WHERE job_id IS NULL AND status = 'PENDING'`,
  );
  t.ok(left[0].count > 0, 'it stopped in the middle, so that this can fail');
  const late = rig.attempts().filter(({ startedAt }) => startedAt > (time as number));
  t.ok(late.length <= concurrency, `${late.length} handlers were started after the signal`);
  const { rows: active } = await rig.pool.query(`SELECT id FROM pgboss.job WHERE state = 'active'`);
  t.same(active, [], 'no attempt is lost');
});

t.test('a replay does not wait for the next poll', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await insertEvents(rig, 1, { status: `'FAILED'`, last_error: `'Error: the shop was down'` });
  await rig.worker({ POLL_SECONDS: '300', RECONCILE_SECONDS: '3600', SUPERVISE_SECONDS: '300' });
  for (let round = 0; round < 3; round++) {
    await rig.pool.query(`UPDATE webhook_events SET status = 'FAILED', last_error = 'again'`);
    await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING'`);
    await rig.waitForStatus('evt_1', 'PROCESSED');
  }
});

t.test('a job that vanished is found among thousands of equal ids and times, of a source each', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await insertEvents(rig, 3_000, {
    event_id: `'evt_same'`,
    source: `'source-' || to_char(n, 'FM0000')`,
    received_at: `now() - interval '1 hour'`,
    job_id: 'gen_random_uuid()',
  });
  // The others have jobs that are not due: they stay, and each pass comes by them.
  const isLost = `source > 'source-2990'`;
  await rig.pool.query(`INSERT INTO pgboss.job (id, name, data, start_after)
    SELECT job_id, 'webhooks', jsonb_build_object('source', source, 'eventId', event_id), now() + interval '1 day'
    FROM webhook_events WHERE NOT ${isLost}`);
  await rig.worker();
  const open = `SELECT FROM webhook_events WHERE status = 'PENDING' AND ${isLost}`;
  await waitFor(async () => (await rig.pool.query(open)).rowCount === 0, { what: 'the lost ones to be run' });
});
