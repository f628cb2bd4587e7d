// A synchronous standby is missing, and somebody ends the wait for it: what it did not confirm is not acknowledged.
import t from 'tap';
import { waitFor } from '../support/wait.ts';
import { startCluster } from './cluster.ts';
import { openRig } from './rig.ts';

const cluster = await startCluster(t, { settings: { synchronous_commit: 'local', lc_messages: 'C' } });
// The answer must not come of the deadline.
const rig = await openRig(t, { url: cluster.url, env: { RECEIVE_TIMEOUT_MS: '25000' } });
await rig.web();
const slow = rig.newSender({ timeoutMs: 40_000 });

async function setStandby(names: string): Promise<void> {
  await rig.pool.query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await rig.pool.query('SELECT pg_reload_conf()');
  await waitFor(
    async () =>
      (await rig.pool.query('SHOW synchronous_standby_names')).rows[0].synchronous_standby_names === names,
    { what: 'the setting to be in force' },
  );
}

/** Ends the wait of whoever waits for the standby. @returns how many */
async function endWaits(how: 'pg_cancel_backend' | 'pg_terminate_backend'): Promise<number> {
  const { rowCount } = await rig.pool.query(
    `SELECT ${how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'postbell web'`,
  );
  return rowCount ?? 0;
}

for (const how of ['pg_cancel_backend', 'pg_terminate_backend'] as const) {
  t.test(how, async (t) => {
    await setStandby('nobody');
    const ids = Array.from({ length: 5 }, (_, index) => `evt_${how}_${index}`);
    const deliveries = Promise.all(ids.map((id) => slow.deliver({ id })));
    let isAnswered = false;
    void deliveries.then(() => {
      isAnswered = true;
    });
    let ended = 0;
    await waitFor(
      async () => {
        ended += await endWaits(how);
        return isAnswered;
      },
      { what: 'the deliveries to be answered' },
    );
    t.ok(ended > 0, `${ended} waits were ended`);
    t.same([...new Set((await deliveries).map(({ status }) => status))], [503]);
    await setStandby('');
    const again = await Promise.all(ids.map((id) => slow.deliverUntilAcked({ id })));
    t.same([...new Set(again.map(({ status }) => status))], [200]);
  });
}

t.test('the books balance', async (t) => {
  await rig.worker();
  await rig.drain();
  // What was stored and not acknowledged is a duplicate when it comes again.
  const { rows } = await rig.pool.query('SELECT count(*)::int AS count FROM webhook_events');
  t.same(rows, [{ count: 10 }]);
  t.same(
    (await rig.check()).filter(({ detail }) => !detail.startsWith('never called new')),
    [],
  );
});
