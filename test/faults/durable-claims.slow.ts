// Claims over a crash of Postgres: a job whose handler has started is not given out again.
import t from 'tap';
import { waitFor } from '../support/wait.ts';
import { startCluster } from './cluster.ts';
import { openRig } from './rig.ts';

t.test('a handler that has started has a claim that a crash of Postgres does not undo', async (t) => {
  const cluster = await startCluster(t, { settings: { wal_writer_delay: '10s' } });
  const rig = await openRig(t, { url: cluster.url });
  const [, worker] = await Promise.all([rig.web(), rig.worker()]);
  for (let round = 0; round < 3; round++) {
    const id = `evt_${round}`;
    await rig.sender.deliverUntilAcked({ id, act: { do: 'wait-until-allowed', ms: 60_000 } });
    await waitFor(() => rig.attempts().some(({ eventId }) => eventId === id), {
      what: 'the handler to start',
      intervalMs: 2,
    });
    worker.kill('SIGSTOP');
    await cluster.restart('immediate');
    const { rows } = await rig.pool.query(
      `SELECT j.state::text FROM webhook_events e JOIN pgboss.job j ON j.id = e.job_id WHERE event_id = $1`,
      [id],
    );
    t.same(rows, [{ state: 'active' }], 'its job is not given out again');
    await rig.pool.query('INSERT INTO allowed VALUES ($1)', [id]);
    worker.kill('SIGCONT');
    await rig.waitForStatus(id, 'PROCESSED', 60_000);
  }
  await rig.drain(90_000);
  t.same(await rig.check({ mayExceedAttemptsBy: 5 }), []);
});

t.test('a crash of Postgres while handlers run: none of them is started beside itself', async (t) => {
  const cluster = await startCluster(t, { settings: { wal_writer_delay: '10s' } });
  const rig = await openRig(t, { url: cluster.url });
  await Promise.all([rig.web(), rig.worker()]);
  for (let round = 0; round < 3; round++) {
    const id = `evt_${round}`;
    await rig.sender.deliverUntilAcked({ id, act: { do: 'wait-deaf', ms: 8_000 } });
    await waitFor(() => rig.attempts().some(({ eventId }) => eventId === id), {
      what: 'the handler to start',
      intervalMs: 2,
    });
    await cluster.restart('immediate');
  }
  await rig.drain(90_000);
  t.same(await rig.check({ mayExceedAttemptsBy: 5 }), []);
});
