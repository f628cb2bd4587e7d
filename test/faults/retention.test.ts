// The database forgets jobs and bodies: no event is lost or run twice for that (F27, F28, F29).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { runProcess } from '../support/processes.ts';
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

t.test('jobs that were deleted, and a queue that was dropped: every event still ends', async (t) => {
  const { url } = await createTestDatabase(t);
  const rig = await openRig(t, { url });
  const web = await rig.web();
  for (let index = 0; index < 20; index++) await rig.sender.deliverUntilAcked({ id: `evt_${index}` });
  await rig.pool.query(`DELETE FROM pgboss.job WHERE name = 'webhooks'`);
  const worker = await rig.worker();
  await rig.drain();

  for (const process of [web, worker]) process.kill('SIGTERM');
  await Promise.all([web.exited, worker.exited]);
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = 'evt_0'`);
  await rig.pool.query('DROP SCHEMA pgboss CASCADE');
  const refused = await rig.worker({}, { wait: false });
  t.match(await refused.exited, { code: 1 });
  t.match(refused.output(), /postbell migrate/, 'it says what to do');

  t.match(await runProcess(['migrate'], { env: { DATABASE_URL: url } }), { code: 0 });
  await rig.worker();
  await rig.drain();
  const effects = await rig.pool.query('SELECT event_id FROM effects GROUP BY 1 HAVING count(*) = 1');
  t.equal(effects.rowCount, 19, 'once each, but for the one that was replayed');
  t.equal((await rig.pool.query('SELECT FROM effects')).rowCount, 21);
});
