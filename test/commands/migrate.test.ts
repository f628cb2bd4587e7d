// `migrate`: from an empty database to a ready one, by one or by many at once, and again without harm.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { schemaVersion } from '../../src/migrations/migrate.ts';
import { startProxy } from '../faults/proxy.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

t.test('an empty database becomes a ready one; the second time there is nothing to do', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const cli = createCli(t, { DATABASE_URL: url });
  const first = await cli(['migrate']);
  t.match(first, {
    code: 0,
    stdout: /^applied create-webhook-events\n(applied \S+\n)*migrated: schema version \d+, pg-boss \d+$/m,
  });
  const second = await cli(['migrate', '--json']);
  t.equal(second.code, 0);
  t.match(second.documents(), [{ applied: [], schema: schemaVersion }]);
  t.match(await cli(['status', '--json']), {
    code: 0,
    stdout: '{"sources":[],"processes":[{"kind":"web","alive":0,',
  });
});

t.test('several at once all end well', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const cli = createCli(t, { DATABASE_URL: url });
  const results = await Promise.all(Array.from({ length: 4 }, () => cli(['migrate', '--json'])));
  t.same(
    results.map(({ code, stderr }) => [code, stderr]),
    Array(4).fill([0, '']),
  );
  const applied = results.filter(({ documents }) =>
    (documents()[0]!.applied as string[]).includes('create-webhook-events'),
  );
  t.equal(applied.length, 1);
});

t.test('a database that is slow to answer the first word is waited for', async (t) => {
  const { url } = await createTestDatabase(t);
  const proxy = await startProxy(t, url);
  proxy.blackHole();
  const ended = createCli(t, { DATABASE_URL: proxy.url })(['migrate']);
  await waitFor(() => proxy.connections() > 0, { what: 'migrate to knock' });
  await delay(3_000); // web and worker give up after 2 s, to answer 503 in time
  proxy.heal({ revive: true });
  t.match(await ended, { code: 0, stderr: '' });
});

t.test("the handlers' own tables are made, too", async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const cli = createCli(t, { DATABASE_URL: url });
  mkdirSync(join(cli.folder, 'handlers'));
  writeFileSync(join(cli.folder, 'handlers/index.ts'), 'export default [];\n');
  writeFileSync(join(cli.folder, 'handlers/tables.sql'), 'CREATE TABLE IF NOT EXISTS orders (id text);\n');
  t.match(await cli(['migrate']), { code: 0 });
  const sql = await openSession(t, url);
  t.same(await sql('SELECT count(*)::int AS count FROM orders'), [{ count: 0 }]);
});

t.test('without DATABASE_URL, or with a wrong one, it says so', async (t) => {
  const cli = createCli(t);
  t.match(await cli(['migrate']), { code: 78, stderr: /^DATABASE_URL is not set/ });
  const env = { DATABASE_URL: 'postgres://ada:sesame-open@127.0.0.1:1/x' };
  const { code, stderr } = await cli(['migrate'], { env });
  t.equal(code, 1);
  t.match(stderr, 'no server listens');
  t.notMatch(stderr, 'sesame-open');
});
