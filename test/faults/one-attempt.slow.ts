// No event runs beside itself: neither where its job comes again, nor where another job of it does, nor where BEGIN fails.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { endHeartbeats } from './poison.ts';
import { startProxy } from './proxy.ts';
import { openRig } from './rig.ts';

t.test(
  'a job that comes again to the worker that still runs it waits for the end of its attempt',
  async (t) => {
    const rig = await openRig(t, await createTestDatabase(t));
    await Promise.all([rig.web(), rig.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt', act: { do: 'wait-until-allowed', ms: 60_000 } });
    await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
    const jobs = `SELECT FROM pgboss.job WHERE name = 'webhooks-isolated'`;
    const hasComeAgain = async () => {
      if ((await rig.pool.query(jobs)).rowCount === 1) return true;
      await endHeartbeats(rig); // again, since the worker's own may come before it is found
      return false;
    };
    await waitFor(hasComeAgain, { what: 'the job to come again', intervalMs: 200 });
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
