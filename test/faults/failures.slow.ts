// A handler that fails, an operator who replays, events that overtake each other, secrets that change: on real processes.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openRig } from './rig.ts';

const rig = await openRig(t, await createTestDatabase(t));
const oldSecret = 'whsec_old_SECRET-OF-YESTERDAY';
const newSecret = 'whsec_new_SECRET-OF-TODAY';
await Promise.all([rig.web({ STRIPE_WEBHOOK_SECRET: `${newSecret},${oldSecret}` }), rig.worker()]);
const [oldSender, newSender, wrongSender] = [oldSecret, newSecret, 'whsec_never_SEEN'].map((secret) =>
  rig.newSender({ secret }),
);

t.test('five failures are FAILED with five reasons; replay by SQL is PROCESSED', async (t) => {
  await newSender!.deliverUntilAcked({ id: 'evt_poison', act: { do: 'throw-until-allowed' } });
  await rig.waitForStatus('evt_poison', 'FAILED', 30_000);
  const failures = await rig.pool.query(
    `SELECT error FROM failed_attempts WHERE event_id = 'evt_poison' AND error = 'Error: it is not allowed yet'`,
  );
  t.equal(failures.rowCount, 5);
  t.equal(rig.attempts().length, 5);

  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_poison')`);
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = 'evt_poison'`);
  await rig.waitForStatus('evt_poison', 'PROCESSED');
  t.equal(rig.attempts().length, 6);
});

t.test('an event that is older than the last one of its entity is IGNORED', async (t) => {
  const order = { topic: 'ledger.entity', act: { entity: 'order-1' } };
  await newSender!.deliverUntilAcked({ id: 'evt_newer', ...order, occurredAtSeconds: 1_700_000_200 });
  await rig.waitForStatus('evt_newer', 'PROCESSED');
  await newSender!.deliverUntilAcked({ id: 'evt_older', ...order, occurredAtSeconds: 1_700_000_100 });
  await rig.waitForStatus('evt_older', 'IGNORED');
  const { rows } = await rig.pool.query(
    `SELECT ignored_reason FROM webhook_events WHERE event_id = 'evt_older'`,
  );
  t.equal(rows[0].ignored_reason, 'stale');
});

t.test('during a rotation both secrets are accepted, and no other', async (t) => {
  t.equal((await oldSender!.deliver({ id: 'evt_old' })).status, 200);
  t.equal((await newSender!.deliver({ id: 'evt_new' })).status, 200);
  t.equal((await wrongSender!.deliver({ id: 'evt_wrong' })).status, 401);
  t.equal(await rig.status('evt_wrong'), undefined);
});

t.test('the books balance', async (t) => {
  await rig.drain();
  t.same(await rig.check({ replayed: new Set(['evt_poison']) }), []);
});
