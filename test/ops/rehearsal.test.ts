// A rehearsal from the event's page: asked for in web, run by a worker process, shown on the page.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { askForRehearsal } from '../../src/events/rehearsals.ts';
import { createTestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/folders.ts';
import { newEvent, openInboxOn, storeEvents } from '../support/inbox.ts';
import { openOpsPage } from '../support/ops-page.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const inbox = await openInboxOn(t, url);
const { sql } = inbox;
const { read, post } = openOpsPage(t, url);
const event = newEvent({ eventId: 'evt_1' });
await storeEvents(inbox, [event]);
// It is settled: the worker has nothing to do but the rehearsal.
await sql(`UPDATE webhook_events SET status = 'FAILED', last_error = 'Error: x', job_id = NULL`);
await sql('DELETE FROM pgboss.job');
await sql(`CREATE TABLE orders (id int, note text); INSERT INTO orders VALUES (1, '<b>open</b>')`);
const page = '/ops/event?source=stripe&id=evt_1';

t.test('two operators ask at once: the second waits for the first, and is refused', async (t) => {
  const ask = (after: () => Promise<unknown>) =>
    inbox.database.transaction(async (tx) => {
      const isAsked = await askForRehearsal(tx, event, 'ada');
      await after();
      return isAsked;
    });
  let second: Promise<boolean> | undefined;
  const first = await ask(async () => {
    let hasEnded = false;
    second = ask(async () => {
      hasEnded = true;
    });
    const waiting = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    await waitFor(async () => hasEnded || (await sql(waiting)).length > 0, { what: 'the second to ask' });
  });
  t.same([first, await second], [true, false]);
  await sql('DELETE FROM rehearsals');
});

t.test('web runs nothing: it waits, and says that no worker is alive', async (t) => {
  t.match(await read(page), /calls to the outside HAPPEN.*action="\/ops\/rehearse\?source=stripe/s);
  t.match(await read(page), 'Received by</dt><dd>webhook<');
  t.notMatch(await read(page, 'reader'), '/ops/rehearse');
  t.match(await post('/ops/rehearse?source=stripe&id=evt_1', {}, 'reader'), { statusCode: 403 });
  t.match(await post('/ops/rehearse?source=stripe&id=none', {}), { statusCode: 409 });
  t.match(await post('/ops/rehearse?source=stripe&id=evt_1', {}), { statusCode: 303 });
  t.match(await post('/ops/rehearse?source=stripe&id=evt_1', {}), { statusCode: 409, body: 'waits or runs' });
  const body = await read(page);
  t.match(body, /data-soon>It waits for a worker/);
  t.match(body, 'No worker is alive');
  t.match(body, /href="\/ops\/event\?source=stripe&amp;id=evt_1#rehearsal">Look again/);
  t.same(await sql('SELECT operator, action, done FROM operator_actions'), [
    { operator: 'ada', action: 'rehearse', done: 0 },
  ]);
});

t.test('a worker takes it, and the page shows verdict, tables, statements and rows', async (t) => {
  const folder = temporaryFolder(t);
  const module = join(folder, 'handlers.mjs');
  writeFileSync(
    module,
    `import { defineHandler } from '${new URL('../../src/index.ts', import.meta.url).href}';
     export default [defineHandler({ provider: 'stripe', topic: 'invoice.paid', async handle({ tx }) {
       await tx.query('SELECT note FROM orders WHERE id = $1', [1]);
       await tx.query("UPDATE orders SET note = 'paid'");
     } })];`,
  );
  startProcess(t, ['worker'], { env: { DATABASE_URL: url, POSTBELL_HANDLERS: module, POLL_SECONDS: '300' } });
  const shown = await waitFor(
    async () => {
      const body = await read(page);
      return body.includes('would be PROCESSED') && body;
    },
    { what: 'the result on the page' },
  );
  t.notMatch(shown, /data-soon>|Look again/);
  t.match(shown, /data-label="Table">orders<.*data-label="Updated" class="number">1</s);
  t.match(shown, /<li><code>SELECT note FROM orders WHERE id = \$1<\/code> <span class="hint">1 row</);
  t.match(shown, '{&quot;note&quot;:&quot;&lt;b&gt;open&lt;/b&gt;&quot;}');
  t.same(await sql('SELECT note FROM orders'), [{ note: '<b>open</b>' }], 'rolled back');
  t.match(await sql('SELECT status FROM webhook_events'), [{ status: 'FAILED' }]);
  // By the notification: the worker would look by itself after 300 s.
  t.match(await post('/ops/rehearse?source=stripe&id=evt_1', {}), { statusCode: 303 });
  await waitFor(async () => (await sql('SELECT FROM rehearsals WHERE ended_at IS NOT NULL')).length === 2, {
    what: 'the second rehearsal',
  });
});
