// Attempts that meet a held row when they fail, when their worker stops, and where the lock is their handler's own affair.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';
import { chargedOf, deliverAll, hold, idsOf, select, startsOf } from './held.ts';
import { openRig } from './rig.ts';

t.test('a handler that throws while its row is held', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await Promise.all([rig.web(), rig.worker({ WORKER_CONCURRENCY: '1' })]);
  await rig.sender.deliverUntilAcked({ id: 'evt_throws', act: { do: 'throw-times', times: 1 } });
  await rig.waitForStatus('evt_throws', 'PROCESSED');
  const acts = { permanent: 'permanent', later: 'later-for', throws: 'throw' };
  const held = Object.keys(acts).map((name) => `evt_held_${name}`);
  // Their rows are taken before the worker comes to them, and after that it has them in hand.
  await rig.sender.deliverUntilAcked({ id: 'evt_first', act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => startsOf(rig, ['evt_first'])[0] === 1, { what: 'the slot to be taken' });
  for (const [name, what] of Object.entries(acts))
    await rig.sender.deliverUntilAcked({ id: `evt_held_${name}`, act: { do: what, ms: 1 } });
  const operator = await hold(t, rig, select, [...held, 'evt_first']);
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_first')`);
  await rig.sender.deliverUntilAcked({ id: 'evt_other' });
  await rig.waitForStatus('evt_other', 'PROCESSED');
  await operator.end();
  await rig.drain();
  t.equal(await rig.status('evt_first'), 'PROCESSED');
  t.equal(await rig.status('evt_held_permanent'), 'FAILED');
  t.equal(await rig.status('evt_held_later'), 'PROCESSED');
  t.same(await rig.check(), []);
});

t.test("a lock that the handler's own statement did not get is its failure", async (t) => {
  const { url, name } = await createTestDatabase(t);
  const rig = await openRig(t, { url, env: { MAX_ATTEMPTS: '2' } });
  await rig.pool.query(`ALTER DATABASE ${name} SET lock_timeout = '300ms'`);
  await rig.pool.query(`INSERT INTO allowed VALUES ('A')`);
  await Promise.all([rig.web(), rig.worker()]);
  const operator = await openSession(t, url);
  await operator('BEGIN');
  await operator('SELECT FROM allowed FOR UPDATE');
  await rig.sender.deliverUntilAcked({ id: 'evt_own', act: { do: 'lock', locks: ['A'] } });
  await rig.waitForStatus('evt_own', 'FAILED');
  const { rows } = await rig.pool.query('SELECT error FROM failed_attempts');
  t.equal(rows.length, 2);
  for (const { error } of rows) t.match(error, '55P03');
  await operator('ROLLBACK');
  t.same(await rig.check({ maxAttempts: 2 }), []);
});

t.test('SIGTERM while rows in hand are held: the worker ends in time, and nothing is charged', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const worker = await rig.worker({ WORKER_CONCURRENCY: '1', SHUTDOWN_TIMEOUT_SECONDS: '20' });
  const held = idsOf('held', 6);
  await deliverAll(rig, held, { do: 'wait-until-allowed', ms: 60_000 });
  await waitFor(() => rig.attempts().length >= 1, { what: 'a handler to start' });
  const operator = await hold(t, rig, select, held);
  worker.kill('SIGTERM');
  t.equal((await worker.exited).code, 0, 'it did not have to exit hard');
  await rig.pool.query('INSERT INTO allowed SELECT unnest($1::text[])', [held]);
  await operator.end();
  await rig.worker();
  await rig.drain();
  t.same(
    await chargedOf(rig, held),
    held.map(() => ({ status: 'PROCESSED', attempts: 1, failures: 0 })),
  );
  t.same(await rig.check(), []);
});
