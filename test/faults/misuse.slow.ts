// What handlers do wrong with their transaction, and what they throw: never PROCESSED without its effects, always told (F36, F37).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { badErrors, harmless, misuses } from './misuse.ts';
import { openRig } from './rig.ts';

t.test('each misuse and each odd error, in one worker that survives them all', async (t) => {
  const rig = await openRig(t, { ...(await createTestDatabase(t)), env: { MAX_ATTEMPTS: '1' } });
  const [, worker] = await Promise.all([rig.web(), rig.worker()]);
  const kinds = [...Object.keys(misuses), ...Object.keys(badErrors)];
  await Promise.all(kinds.map((kind) => rig.sender.deliverUntilAcked({ id: kind, act: { do: kind } })));
  for (const kind of kinds) {
    await rig.waitForStatus(kind, harmless.has(kind) ? 'PROCESSED' : 'FAILED');
  }
  const { rows } = await rig.pool.query<{ event_id: string; last_error: string }>(
    'SELECT event_id, last_error FROM dead_letters',
  );
  const errors = new Map(rows.map((row) => [row.event_id, row.last_error]));
  for (const kind of ['rollback', 'commit', 'begin', 'caught-commit'])
    t.match(errors.get(kind), /COMMIT|ROLLBACK|BEGIN/, `${kind} is refused by name`);
  t.match(errors.get('swallow'), /division by zero/, 'an aborted transaction is told with its cause');
  t.match(errors.get('text'), /a text was thrown/);
  t.ok([...errors.values()].every((error) => error.length <= 2_000 && !error.includes('\0')));
  t.equal(await Promise.race([worker.exited, 'it runs']), 'it runs');
  t.same(await rig.check({ maxAttempts: 1 }), []);
});
