// The database forgets jobs and bodies: no event is lost or run twice for that (F27, F28, F29).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { openRig } from './rig.ts';

t.test('a delivery years after the purge is answered as a duplicate and runs nothing', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const first = await rig.worker();
  const ids = Array.from({ length: 20 }, (_, index) => `evt_old_${index}`);
  for (const id of ids) await rig.sender.deliverUntilAcked({ id });
  await rig.drain();
  first.kill('SIGTERM');
  await first.exited;
  await rig.pool.query(`UPDATE webhook_events SET received_at = received_at - interval '400 days',
    processed_at = processed_at - interval '400 days'`);

  await rig.worker({ PAYLOAD_RETENTION_DAYS: '30' });
  const left = async () => (await rig.pool.query('SELECT FROM webhook_events')).rowCount;
  await waitFor(async () => (await left()) === 0, { what: 'the purge' });
  for (const id of ids) {
    t.match(await rig.sender.deliverUntilAcked({ id }), { status: 200, duplicate: true });
  }
  await rig.drain();
  t.equal(await left(), 0);
  const effects = await rig.pool.query('SELECT event_id FROM effects');
  t.equal(effects.rowCount, ids.length, 'each had its effect once');
});

t.test(
  'long after the purge, an older event of an entity still does not run after a newer one',
  async (t) => {
    const rig = await openRig(t, await createTestDatabase(t));
    await rig.web();
    const first = await rig.worker();
    const order = { topic: 'ledger.entity', act: { entity: 'order_1' } };
    await rig.sender.deliverUntilAcked({ ...order, id: 'evt_newer', occurredAtSeconds: 1_700_000_200 });
    await rig.drain();
    first.kill('SIGTERM');
    await first.exited;
    await rig.pool.query(`UPDATE webhook_events SET received_at = received_at - interval '2 days',
    processed_at = processed_at - interval '2 days'`);

    const purging = await rig.worker({ PAYLOAD_RETENTION_DAYS: '1' });
    await purging.waitForLog('were purged');
    t.equal(await rig.status('evt_newer'), undefined);
    await rig.sender.deliverUntilAcked({ ...order, id: 'evt_older', occurredAtSeconds: 1_700_000_100 });
    await rig.drain();
    t.equal(await rig.status('evt_older'), 'IGNORED');
    await rig.sender.deliverUntilAcked({ ...order, id: 'evt_newest', occurredAtSeconds: 1_700_000_300 });
    await rig.drain();
    const effects = await rig.pool.query('SELECT event_id FROM effects ORDER BY at');
    t.same(
      effects.rows.map((row) => row.event_id),
      ['evt_newer', 'evt_newest'],
    );
  },
);

t.test('a worker whose clock is wrong purges by the clock of the database', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const first = await rig.worker();
  const ids = ['evt_40_days', 'evt_20_days', 'evt_today'];
  for (const id of ids) await rig.sender.deliverUntilAcked({ id });
  await rig.drain();
  first.kill('SIGTERM');
  await first.exited;
  for (const days of [40, 20])
    await rig.pool.query(
      `UPDATE webhook_events SET received_at = received_at - make_interval(days => $1),
         processed_at = processed_at - make_interval(days => $1) WHERE event_id = $2`,
      [days, `evt_${days}_days`],
    );
  await rig.pool.query(`CREATE TABLE backup AS SELECT * FROM webhook_events WHERE event_id = 'evt_40_days'`);
  for (const skewDays of [15, -25]) {
    const skew = `const now = Date.now; Date.now = () => now() + ${skewDays * 86_400_000};`;
    const worker = await rig.worker({
      PAYLOAD_RETENTION_DAYS: '30',
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(skew)}`,
    });
    await worker.waitForLog('were purged');
    const left = await rig.pool.query('SELECT event_id FROM webhook_events ORDER BY 1');
    t.same(
      left.rows.map((row) => row.event_id),
      ['evt_20_days', 'evt_today'],
      `${skewDays} days wrong`,
    );
    worker.kill('SIGTERM');
    await worker.exited;
    await rig.pool.query('INSERT INTO webhook_events SELECT * FROM backup');
  }
});

t.test('jobs that were deleted behind our back: every event still ends, once', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  for (let index = 0; index < 20; index++) await rig.sender.deliverUntilAcked({ id: `evt_${index}` });
  await rig.pool.query(`DELETE FROM pgboss.job WHERE name = 'webhooks'`);
  await rig.worker();
  await rig.drain();
  t.same((await rig.pool.query('SELECT event_id FROM effects')).rowCount, 20, 'once each');
});
