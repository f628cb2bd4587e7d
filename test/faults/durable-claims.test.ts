// Claims: a crash of Postgres must not give a running job out again, and no worker runs one event twice at once.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { startCluster } from './cluster.ts';
import { endHeartbeats } from './poison.ts';
import { startProxy } from './proxy.ts';
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

t.test(
  'a job that comes again to the worker that still runs it waits for the end of its attempt',
  async (t) => {
    const rig = await openRig(t, await createTestDatabase(t));
    await Promise.all([rig.web(), rig.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt', act: { do: 'wait-until-allowed', ms: 60_000 } });
    await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
    await endHeartbeats(rig);
    const jobs = `SELECT FROM pgboss.job WHERE name = 'webhooks' AND retry_count > 0`;
    await waitFor(async () => (await rig.pool.query(jobs)).rowCount === 1, { what: 'the job to come again' });
    // Others that come after it show that the worker has looked.
    for (let index = 0; index < 5; index++) {
      await rig.sender.deliverUntilAcked({ id: `evt_other_${index}` });
      await rig.waitForStatus(`evt_other_${index}`, 'PROCESSED');
    }
    t.equal(rig.attempts().filter(({ eventId }) => eventId === 'evt').length, 1);
    await rig.pool.query(`INSERT INTO allowed VALUES ('evt')`);
    await rig.drain();
    t.equal(await rig.status('evt'), 'PROCESSED');
    t.same(await rig.check(), []);
  },
);

t.test('an event that is replayed while it runs does not run beside itself', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt', act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
  const { rows: before } = await rig.pool.query('SELECT job_id FROM webhook_events');
  await rig.pool.query('UPDATE webhook_events SET job_id = NULL');
  const jobIds = 'SELECT FROM webhook_events WHERE job_id <> $1';
  await waitFor(async () => (await rig.pool.query(jobIds, [before[0].job_id])).rowCount === 1, {
    what: 'the event to be enqueued again',
  });
  for (let index = 0; index < 5; index++) {
    await rig.sender.deliverUntilAcked({ id: `evt_other_${index}` });
    await rig.waitForStatus(`evt_other_${index}`, 'PROCESSED');
  }
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt')`);
  await rig.drain();
  t.equal(await rig.status('evt'), 'PROCESSED');
  t.same(await rig.check(), []);
});

t.test('no handler is started in a transaction whose BEGIN fails', async (t) => {
  const { url } = await createTestDatabase(t);
  const proxy = await startProxy(t, url);
  const rig = await openRig(t, { url });
  await Promise.all([rig.web(), rig.worker({ DATABASE_URL: proxy.url })]);
  proxy.cutAtBegin(3);
  const acts = Array.from({ length: 6 }, (_, index) => `evt_${index}`);
  for (const id of acts) await rig.sender.deliverUntilAcked({ id, act: { do: 'wait-first', ms: 6_000 } });
  await rig.drain(90_000);
  t.ok(proxy.cutAtBegins() > 0, `${proxy.cutAtBegins()} were cut`);
  t.same(await rig.check({ mayExceedAttemptsBy: 5 }), []);
});
