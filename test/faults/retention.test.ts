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

t.test('jobs that were deleted behind our back: every event still ends, once', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  for (let index = 0; index < 20; index++) await rig.sender.deliverUntilAcked({ id: `evt_${index}` });
  await rig.pool.query(`DELETE FROM pgboss.job WHERE name = 'webhooks'`);
  await rig.worker();
  await rig.drain();
  t.same((await rig.pool.query('SELECT event_id FROM effects')).rowCount, 20, 'once each');
});
