// The last attempt dies with its process: the event is FAILED although none of our JavaScript could say so.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openRig } from './rig.ts';

t.test('a crash on the last attempt ends FAILED, with every attempt recorded', async (t) => {
  const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { MAX_ATTEMPTS: '2' } });
  const lethal = { POSTBELL_FAILPOINT: 'worker.after-handler:kill' };
  const first = await rig.worker(lethal);
  await rig.web();
  await rig.sender.deliverUntilAcked({ id: 'evt_lethal' });
  await first.exited;
  const second = await rig.worker(lethal);
  await second.exited;
  t.equal(await rig.status('evt_lethal'), 'PENDING', 'nobody has given up yet');

  // This one runs nothing: it only finds the dead.
  await rig.worker();
  await rig.waitForStatus('evt_lethal', 'FAILED', 25_000);
  await rig.drain();
  t.equal(rig.attempts().length, 2);
  const { rows } = await rig.pool.query('SELECT attempts, last_error FROM dead_letters');
  t.equal(rows.length, 1);
  t.equal(rows[0].attempts, 2);
  t.match(rows[0].last_error, /^AttemptLost: /, 'its reconciler says why, since nobody else can');
  t.same(await rig.check({ maxAttempts: 2 }), []);
});
