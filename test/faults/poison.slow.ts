// An event that ends its process: it is FAILED after MAX_ATTEMPTS starts, and nobody who was in there with it has to pay (F10).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { playPoison } from './poison.ts';
import { openRig } from './rig.ts';

t.test(
  'process.exit() in a batch: FAILED after at most MAX_ATTEMPTS starts, the others PROCESSED',
  async (t) => {
    // Three of five: the fault program plays it whole, and other ways to die.
    const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { MAX_ATTEMPTS: '3' } });
    const { poisonId, deaths } = await playPoison(rig, { act: 'exit', topic: 'ledger.batch', good: 99 });
    const starts = rig.attempts().filter(({ eventId }) => eventId === poisonId).length;
    t.ok(starts <= 3, `it was started ${starts} times`);
    t.equal(deaths, starts, 'each start cost one worker, and nothing else did');
    const { rows } = await rig.pool.query(
      'SELECT status, count(*)::int FROM webhook_events GROUP BY 1 ORDER BY 1',
    );
    t.same(rows, [
      { status: 'FAILED', count: 1 },
      { status: 'PROCESSED', count: 99 },
    ]);
    const failures = await rig.pool.query('SELECT DISTINCT event_id, error FROM failed_attempts');
    t.match(
      failures.rows,
      [{ event_id: poisonId, error: /AttemptLost/ }],
      'no failure is told of the others',
    );
    t.same(await rig.check({ maxAttempts: 3 }), []);
  },
);

t.test('an exception that nobody catches: its handler is charged, the one beside it is not', async (t) => {
  const rig = await openRig(t, {
    ...(await createTestDatabase(t)),
    env: { MAX_ATTEMPTS: '2', SHUTDOWN_TIMEOUT_SECONDS: '5' },
  });
  const { poisonId } = await playPoison(rig, { act: 'throw-outside', good: 5 });
  const { rows } = await rig.pool.query('SELECT event_id, last_error FROM dead_letters');
  t.match(rows, [{ event_id: poisonId, last_error: 'Error: thrown where no promise could catch it' }]);
  t.same(await rig.check({ maxAttempts: 2 }), []);
});
