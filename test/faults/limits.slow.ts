// A database without the right to write: answers stay honest, and nobody crashes or has to be restarted (F39).
import pg from 'pg';
import t, { type Test } from 'tap';
import { atEnd } from '../support/at-end.ts';
import { createTestDatabase, testServerUrl } from '../support/database.ts';
import { runProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { timeRecovery } from './load.ts';
import { openRig, testProfile, type WebProcess } from './rig.ts';
import { clock } from './sender.ts';

/** A database that belongs to a user without further rights, as one rents it. */
async function openRented(t: Test) {
  const { url, name } = await createTestDatabase(t, { migrated: false });
  const role = `${name}_owner`;
  const admin = new pg.Client({ connectionString: await testServerUrl() });
  await admin.connect();
  atEnd(t, async () => {
    const owned = new pg.Client({ connectionString: url });
    await owned.connect();
    await owned.query('SET default_transaction_read_only = off'); // where the test failed half-way
    await owned.query(`REASSIGN OWNED BY ${role} TO CURRENT_USER`);
    await owned.query(`DROP OWNED BY ${role}`);
    await owned.end();
    await admin.query(`DROP ROLE ${role}`);
    await admin.end();
  });
  await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'rented'`);
  await admin.query(`ALTER DATABASE ${name} OWNER TO ${role}`);
  const rented = new URL(url);
  rented.username = role;
  rented.password = 'rented';
  const processUrl = rented.href;
  const migrated = await runProcess(['migrate'], { env: { ...testProfile, DATABASE_URL: processUrl } });
  if (migrated.code !== 0) throw new Error(migrated.stderr);
  const rig = await openRig(t, { url, processUrl });
  await rig.pool.query(`GRANT ALL ON effects, allowed, status_history TO ${role}`);
  const endSessions = () =>
    rig.pool.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
  return { rig, admin, role, name, processUrl, endSessions };
}

const statusOf = async (web: WebProcess, path: string) => (await fetch(`${web.url}${path}`)).status;

t.test('a database that takes no writes: 503, not ready, alive, and back by itself', async (t) => {
  const { rig, admin, role, name, endSessions } = await openRented(t);
  const web = await rig.web();
  const worker = await rig.worker();
  const faults: Record<string, readonly [string, string]> = {
    '25006': [
      `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
      `ALTER DATABASE ${name} RESET default_transaction_read_only`,
    ],
    '42501': [
      `REVOKE INSERT, UPDATE ON webhook_events FROM ${role}`,
      `GRANT INSERT, UPDATE ON webhook_events TO ${role}`,
    ],
  };
  for (const [code, [harm, mend]] of Object.entries(faults)) {
    const run = (statement: string) =>
      statement.includes(' ON webhook_events ') ? rig.pool.query(statement) : admin.query(statement);
    await run(harm);
    await endSessions();
    const refused = await rig.sender.deliver({ id: `evt_${code}` });
    t.match(refused, { status: 503, retryAfter: /^\d+$/ }, `${code}: a delivery`);
    await waitFor(async () => (await statusOf(web, '/readyz')) === 503, {
      what: `${code}: readyz to say no`,
    });
    t.equal(await statusOf(web, '/healthz'), 200, `${code}: healthz does not ask the database`);
    await run(mend);
    await endSessions();
    const { ackMs } = await timeRecovery(rig, clock(), `after_${code}`);
    t.ok(ackMs < 10_000, `${code}: the first 200 came ${ackMs} ms later`);
    await waitFor(async () => (await statusOf(web, '/readyz')) === 200, {
      what: `${code}: readyz to say yes`,
    });
  }
  t.equal(await Promise.race([web.exited, worker.exited, 'both run']), 'both run');
  await rig.drain();
  t.same(await rig.check({ mayExceedAttemptsBy: 3 }), []);
});
