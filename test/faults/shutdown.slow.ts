// SIGTERM, as at every deploy: what was accepted is answered, what runs is finished or given back uncharged.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { startLoad } from './load.ts';
import { endHeartbeats } from './poison.ts';
import { openRig } from './rig.ts';
import { clock } from './sender.ts';

t.test('SIGTERM to web: requests in flight on keep-alive connections are answered 200', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.worker();
  for (const round of [1, 2]) {
    const web = await rig.web({ POSTBELL_FAILPOINT: 'web.after-insert:delay 100' });
    let isOver = false;
    const clients = Array.from({ length: 50 }, async (_, client) => {
      for (let index = 0; !isOver; index++) {
        const { status } = await rig.sender.deliver({ id: `evt_${round}_${client}_${index}` });
        if (status === 'reset') return; // it is gone, as it should be
      }
    });
    await waitFor(() => rig.sender.sent.length > 200 * round, { what: 'the load to run' });
    web.kill('SIGTERM');
    web.kill('SIGTERM');
    const { code } = await web.exited;
    t.equal(code, 0);
    isOver = true;
    await Promise.all(clients);
  }
  const { sent } = rig.sender;
  t.same([...new Set(sent.map(({ status }) => status))].sort(), [200, 'reset'], 'nobody was told 503');
  const resets = sent.filter(({ status }) => status === 'reset').map(({ eventId }) => eventId);
  const { rows } = await rig.pool.query('SELECT event_id FROM webhook_events WHERE event_id = ANY($1)', [
    resets,
  ]);
  t.same(rows, [], 'what was reset had not been read');
  await rig.drain();
  t.same(await rig.check(), []);
});

t.test('SIGTERM to a worker: 3 s are waited for, 60 s are interrupted and not charged', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const first = await rig.worker({ SHUTDOWN_TIMEOUT_SECONDS: '10', MAX_ATTEMPTS: '1' });
  await Promise.all([
    rig.sender.deliverUntilAcked({ id: 'evt_3s', act: { do: 'wait', ms: 3_000 } }),
    rig.sender.deliverUntilAcked({ id: 'evt_60s', act: { do: 'wait-until-allowed', ms: 60_000 } }),
    rig.sender.deliverUntilAcked({ id: 'evt_deaf', act: { do: 'wait-deaf-until-allowed', ms: 60_000 } }),
  ]);
  await waitFor(() => rig.attempts().length === 3, { what: 'the handlers to start' });
  const stoppedAt = clock();
  first.kill('SIGTERM');
  t.equal((await first.exited).code, 0);
  t.ok(clock() - stoppedAt < 10_000, `it exited after ${Math.round(clock() - stoppedAt)} ms`);
  t.equal(await rig.status('evt_3s'), 'PROCESSED');
  const { rows } = await rig.pool.query(
    `SELECT status, attempts, (SELECT count(*)::int FROM failed_attempts) AS failures FROM webhook_events
     WHERE event_id IN ('evt_60s', 'evt_deaf')`,
  );
  const untouched = { status: 'PENDING', attempts: 0, failures: 0 };
  t.same(rows, [untouched, untouched], 'a single allowed attempt is not used up by a deploy');

  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_60s'), ('evt_deaf')`);
  await rig.worker({ MAX_ATTEMPTS: '1' });
  await rig.drain();
  t.same(await rig.check({ maxAttempts: 1, mayExceedAttemptsBy: 1, mayOverlap: true }), []);
});

t.test('events that wait in a worker are released beside its grace, not before it', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  // All are there before the worker is: a first fetch that found a part of them would not be followed by another.
  const long = Array.from({ length: 4 }, (_, index) => `evt_long_${index}`);
  const act = { do: 'wait-until-allowed', ms: 60_000 };
  await Promise.all(long.map((id) => rig.sender.deliverUntilAcked({ id, act })));
  const waiting = Array.from({ length: 40 }, (_, index) => `evt_${index}`);
  await Promise.all(waiting.map((id) => rig.sender.deliverUntilAcked({ id })));
  // To hand one back takes half a second: one after the other they would take longer than the shutdown may.
  const worker = await rig.worker({
    SHUTDOWN_TIMEOUT_SECONDS: '7',
    WORKER_CONCURRENCY: '4',
    POSTBELL_FAILPOINT: 'worker.moved:delay 500',
  });
  await waitFor(() => rig.attempts().length === long.length, { what: 'the long handlers to start' });
  const held = `SELECT FROM pgboss.job WHERE name = 'webhooks' AND state = 'active'`;
  worker.kill('SIGTERM');
  t.equal((await worker.exited).code, 0, 'it was done in time');
  const interrupted = worker.logs.filter(({ outcome }) => outcome === 'released');
  t.equal(interrupted.length, long.length, 'and had told the long handlers to stop');
  t.equal((await rig.pool.query(held)).rowCount, 0, 'nothing is left in its hands');
  await rig.pool.query('INSERT INTO allowed SELECT event_id FROM webhook_events');
  await rig.worker();
  await rig.drain();
  t.same(await rig.check({ mayExceedAttemptsBy: 1, mayOverlap: true }), []);
});

t.test('three deploys in a row under load cost no event its only attempt', async (t) => {
  const rig = await openRig(t, {
    ...(await createTestDatabase(t)),
    env: { MAX_ATTEMPTS: '1', SHUTDOWN_TIMEOUT_SECONDS: '5' },
  });
  await rig.web();
  const long = { do: 'wait-until-allowed', ms: 60_000 };
  await rig.sender.deliverUntilAcked({ id: 'evt_long', act: long });
  const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
  const output: string[] = [];
  for (let deploy = 0; deploy < 3; deploy++) {
    const worker = await rig.worker();
    const startsOfLong = () => rig.attempts().filter(({ eventId }) => eventId === 'evt_long').length;
    await waitFor(() => startsOfLong() > deploy, { what: `start ${deploy + 1} of the long handler` });
    // At another moment of what else runs each time.
    await delay(deploy * 7);
    worker.kill('SIGTERM');
    t.equal((await worker.exited).code, 0);
    output.push(worker.output());
  }
  await load.stop();
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_long')`);
  await rig.worker();
  await rig.drain();
  const { rows } = await rig.pool.query('SELECT DISTINCT status FROM webhook_events');
  t.same(rows, [{ status: 'PROCESSED' }]);
  t.notMatch(output.join('\n'), /AttemptLost|lost with its worker/, 'they were released, not lost');
  t.same(await rig.check({ maxAttempts: 1, mayExceedAttemptsBy: 3, mayOverlap: true }), []);
});

t.test('kill -9 instead: the attempts of everything in the process are given back', async (t) => {
  const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { MAX_ATTEMPTS: '1' } });
  await rig.web();
  const ids = ['evt_a', 'evt_b', 'evt_c'];
  const victim = await rig.worker();
  for (const id of ids)
    await rig.sender.deliverUntilAcked({ id, act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => rig.attempts().length === ids.length, { what: 'the handlers to start' });
  victim.kill('SIGKILL');
  await victim.exited;
  await rig.settleSessions('postbell worker');
  await endHeartbeats(rig);
  await rig.pool.query('INSERT INTO allowed SELECT unnest($1::text[])', [ids]);
  await rig.worker();
  await rig.drain();
  const { rows } = await rig.pool.query('SELECT status, attempts FROM webhook_events');
  t.same(
    rows,
    ids.map(() => ({ status: 'PROCESSED', attempts: 1 })),
  );
  t.same(await rig.check({ maxAttempts: 1, mayExceedAttemptsBy: 1 }), []);
});
