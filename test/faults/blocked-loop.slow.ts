// A handler that never gives the event loop back: heartbeat and supervisor hang with it, so a thread ends the process (F11).
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { playPoison } from './poison.ts';
import { openRig } from './rig.ts';

t.test('a handler that spins for ever: its process says who and ends, the event is FAILED', async (t) => {
  const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { MAX_ATTEMPTS: '2' } });
  const { poisonId, lastWords } = await playPoison(rig, {
    act: 'spin',
    ms: 3_600_000,
    good: 10,
    workerEnv: { WATCHDOG_SECONDS: '2' },
  });
  t.equal(lastWords.length, 2, 'one process per start');
  for (const line of lastWords) {
    const { level, msg, running } = JSON.parse(line) as Record<string, unknown>;
    t.match({ level, msg }, { level: 60, msg: /event loop was blocked for 2 s/ });
    t.match(String(running), poisonId);
  }
  t.same(await rig.check({ maxAttempts: 2 }), []);
});

t.test('a process that was frozen as a whole is not taken for a blocked one', async (t) => {
  const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { WATCHDOG_SECONDS: '2' } });
  const worker = await rig.worker();
  const web = await rig.web();
  for (const process of [worker, web]) process.kill('SIGSTOP');
  await delay(5_000); // more than twice as long as the loop may be blocked
  for (const process of [worker, web]) process.kill('SIGCONT');
  await rig.sender.deliverUntilAcked({ id: 'evt_after' });
  await rig.waitForStatus('evt_after', 'PROCESSED');
  const ended = await Promise.race([worker.exited, web.exited, delay(2_500, 'both run on')]);
  t.equal(ended, 'both run on');
});
