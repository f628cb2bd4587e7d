// `postbell capture`: opens, lists, follows and stops; a web process is not needed for that.
import t from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const cli = createCli(t, { DATABASE_URL: url });

t.beforeEach(() => sql('TRUNCATE captures, captured_requests'));

t.test('opens, lists and stops a capture', async (t) => {
  t.match(await cli.inside(['capture']), { code: 0, stdout: /no capture is open/ });
  const opened = await cli.inside(['capture', 'stripe', '--minutes', '20', '--json']);
  t.match(opened, { code: 0 });
  t.match(opened.documents(), [{ source: 'stripe', isOpen: true }]);
  t.match(await sql(`SELECT extract(epoch FROM ends_at - opened_at)::int AS seconds FROM captures`), [
    { seconds: 1_200 },
  ]);
  t.match(await cli.inside(['capture']), { stdout: /^stripe until .*, opened by / });
  t.match(await cli.inside(['capture', 'stripe', '--stop']), { code: 0, stdout: /has ended/ });
  t.match(await cli.inside(['capture', 'stripe', '--stop']), {
    code: 1,
    stderr: /no capture of stripe is open/,
  });
  t.strictSame((await cli.inside(['capture', '--json'])).documents(), []);
});

t.test('bad input is named', async (t) => {
  t.match(await cli.inside(['capture', 'strpe']), { code: 1, stderr: /there is no source "strpe".*stripe/ });
  t.match(await cli.inside(['capture', 'stripe', '--minutes', '121']), { code: 2, stderr: /1 to 120/ });
  t.match(await cli.inside(['capture', '--stop']), { code: 1, stderr: /name a source/ });
  t.strictSame(await sql('SELECT FROM captures'), []);
});

t.test('--follow joins an open capture, prints what arrives with its remedy, and ends with it', async (t) => {
  await cli.inside(['capture', 'stripe', '--minutes', '5']);
  const [before] = await sql('SELECT ends_at FROM captures');
  const following = cli(['capture', 'stripe', '--follow']);
  const add = (id: string) =>
    sql(
      `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body_bytes, status, outcome, reason)
       VALUES ('stripe', now(), $1, 'web.1', 'POST', '/\u009b', '{}', 12, 401, 'rejected', 'wrong_secret')`,
      [id],
    );
  const session = `SELECT FROM pg_stat_activity WHERE application_name = 'postbell capture' AND query LIKE '%captured_requests%' AND datname = current_database()`;
  await waitFor(async () => (await sql(session)).length > 0, { what: 'the command to look' });
  await waitFor(
    async () => {
      await add('r');
      const [row] = await sql('SELECT count(*)::int AS count FROM captured_requests');
      return Number(row!.count) > 3;
    },
    { what: 'some requests', intervalMs: 500 },
  );
  t.strictSame((await sql('SELECT ends_at FROM captures'))[0], before);
  await sql('UPDATE captures SET ends_at = now()');
  const { code, stdout } = await following;
  t.equal(code, 0);
  t.match(
    stdout,
    /401 rejected {2}POST \/\\x9b {2}12 bytes\n {2}wrong_secret\n {2}remedy: copy the secret again into STRIPE/,
  );
});
