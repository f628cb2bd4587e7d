// A schema that is newer than the code is accepted, as after a rollback; an older one is refused with the remedy (F26).
import t from 'tap';
import { schemaVersion } from '../../src/migrations/migrate.ts';
import { createTestDatabase } from '../support/database.ts';
import { runProcess } from '../support/processes.ts';
import { openRig, testProfile } from './rig.ts';

t.test('newer than the code: everything works, and migrate leaves it alone', async (t) => {
  const { url } = await createTestDatabase(t);
  const rig = await openRig(t, { url });
  const { pool } = rig;
  await pool.query(`INSERT INTO postbell_migrations (id, name, hash) VALUES ($1, 'of-tomorrow', 'unknown')`, [
    schemaVersion + 1,
  ]);
  await pool.query('ALTER TABLE webhook_events ADD COLUMN of_tomorrow text');
  await pool.query('UPDATE pgboss.version SET version = version + 1');
  const env = { ...testProfile, DATABASE_URL: url };
  t.match(await runProcess(['migrate'], { env }), { code: 0, stdout: /nothing to do/ });
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_1' });
  await rig.drain();
  t.same(await rig.check(), []);
});

t.test('older than the code: both refuse to start and say what to run', async (t) => {
  const { url } = await createTestDatabase(t);
  const rig = await openRig(t, { url });
  await rig.pool.query('DELETE FROM postbell_migrations WHERE id = $1', [schemaVersion]);
  for (const verb of ['web', 'worker'] as const) {
    const process = await rig[verb]({}, { wait: false });
    t.match(await process.exited, { code: 1 });
    t.match(process.output(), /run: postbell migrate/);
  }
});
