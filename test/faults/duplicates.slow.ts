// The same event from a hundred sockets at once, at two web processes (F32).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import { openRig } from './rig.ts';

t.test('100 concurrent identical deliveries are one row, one effect and 100 answers of 200', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await Promise.all([rig.web(), rig.web(), rig.worker()]);
  for (const id of ['evt_first', 'evt_second', 'evt_third']) {
    const deliveries = Array.from({ length: 100 }, () => rig.sender.deliver({ id }));
    const answers = await Promise.all(deliveries);
    t.same([...new Set(answers.map(({ status }) => status))], [200]);
    t.equal(answers.filter(({ duplicate }) => duplicate === false).length, 1, 'one was the first');
    const slowest = Math.max(...answers.map(({ sentAt, repliedAt }) => repliedAt - sentAt));
    t.ok(slowest < 5_000, `the slowest answer took ${Math.round(slowest)} ms`);
  }
  await rig.drain();
  const counted = async () =>
    (await rig.pool.query('SELECT sum(duplicates)::int AS count FROM webhook_events')).rows[0].count === 297;
  await waitFor(counted, { what: 'the other 99 to be counted on their row' });
  t.same(await rig.check(), []);
});
