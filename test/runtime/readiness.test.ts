// What /readyz asks the database: not only whether it answers, but whether it takes what we store.
import t, { type Test } from 'tap';
import { createReadiness } from '../../src/runtime/readiness.ts';
import { createTestDatabase } from '../support/database.ts';
import { openPool, openSession } from '../support/inbox.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);

function ask(t: Test, options: { isReady?: boolean; sessionSettings?: Record<string, string> } = {}) {
  const { isReady = true, sessionSettings = {} } = options;
  const database = openPool(t, url, { maxConnections: 1, sessionSettings });
  return createReadiness(database, () => isReady)();
}

t.test('a database that answers and can be written to is ready', async (t) => {
  t.equal(await ask(t), undefined);
});

t.test('a process that starts or stops is not', async (t) => {
  t.equal(await ask(t, { isReady: false }), 'starting or stopping');
});

t.test('a database that may only be read is not, as after a failover (F39)', async (t) => {
  const sessionSettings = { default_transaction_read_only: 'on' };
  t.equal(await ask(t, { sessionSettings }), 'the database is read only');
});

t.test('a database that takes no INSERT is not, as over its plan (F39)', async (t) => {
  const role = `reader_${process.pid}`;
  await sql(`CREATE ROLE ${role}`);
  await sql(`GRANT SELECT ON webhook_events TO ${role}`);
  const rejection = await ask(t, { sessionSettings: { role } });
  t.equal(rejection, 'webhook_events may not be written');
  await sql(`DROP OWNED BY ${role}`);
  await sql(`DROP ROLE ${role}`);
});
