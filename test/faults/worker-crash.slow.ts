// A worker killed at each place of an attempt: the effect is there once, after a re-run where it was not yet (F2).

import t from 'tap';
import { busyness } from '../support/busyness.ts';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { openRig } from './rig.ts';
import { clock } from './sender.ts';
import { failureSites, workerSites } from './sites.ts';

/** Heartbeat 10 s, supervised each second, back-off up to 2 s, poll 1 s, and as much again. */
const recoveryLimitMs = 20_000;

t.test('kill -9 of a worker at any place: every effect once', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const effects = async (eventId: string) =>
    (await rig.pool.query('SELECT FROM effects WHERE event_id = $1', [eventId])).rowCount;
  for (const { site, isDone } of workerSites) {
    const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` });
    await rig.sender.deliverUntilAcked({ id: site });
    t.equal((await victim.exited).signal, 'SIGKILL', `${site}: it was killed`);
    await rig.settleSessions('postbell worker');
    t.equal(await effects(site), Number(isDone), `${site}: the effect is there only by the commit`);
  }
  for (const site of failureSites) {
    const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` });
    await rig.sender.deliverUntilAcked({ id: site, act: { do: 'throw-times', times: 1 } });
    t.equal((await victim.exited).signal, 'SIGKILL', `${site}: it was killed`);
  }
  const killedAt = clock();
  await rig.worker();
  await rig.drain();
  t.ok(
    clock() - killedAt < recoveryLimitMs * busyness(),
    `all are done ${Math.round(clock() - killedAt)} ms later`,
  );
  for (const { site, isDone } of workerSites) {
    const starts = rig.attempts().filter(({ eventId }) => eventId === site).length;
    if (isDone) t.equal(starts, 1, `${site}: what was committed is not run again`);
  }
  t.same(await rig.check(), []);
});

t.test('kill -9 of a worker while events are paused, and while they resume: every effect once', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const killed = async () => {
    const victim = await rig.worker(
      { POSTBELL_FAILPOINT: 'worker.moved:kill', RECONCILE_SECONDS: '1' },
      { wait: false },
    );
    t.equal((await victim.exited).signal, 'SIGKILL');
    await rig.settleSessions('postbell worker');
  };
  const events = Array.from({ length: 40 }, (_, index) => `evt_${index}`);
  await rig.pool.query(`INSERT INTO pauses (source) VALUES ('stripe')`);
  await Promise.all(events.map((id) => rig.sender.deliverUntilAcked({ id })));
  await killed();
  const worker = await rig.worker();
  const held = `SELECT FROM pgboss.job j JOIN webhook_events e ON e.job_id = j.id WHERE name = 'webhooks-paused'`;
  await waitFor(async () => (await rig.pool.query(held)).rowCount === events.length, {
    what: 'all events to be set aside',
  });
  t.equal(rig.attempts().length, 0);
  worker.kill('SIGKILL');
  await worker.exited;
  await rig.pool.query('DELETE FROM pauses');
  await killed();
  await rig.worker();
  await rig.drain();
  t.equal(rig.attempts().length, events.length, 'each ran once');
  t.same(await rig.check(), []);
});
