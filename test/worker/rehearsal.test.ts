// Rehearsals that operators ask for: what the handlers' statements returned, and that each runs once at most.
import t from 'tap';
import { openDatabase } from '../../src/database/open-database.ts';
import { PermanentError } from '../../src/errors.ts';
import { askForRehearsal, findRehearsal } from '../../src/events/rehearsals.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import type { Rehearsal } from '../../src/worker/rehearsal/rehearsal.ts';
import { rehearsalTask } from '../../src/worker/rehearsal/rehearsal-task.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { database, sql, log } = inbox;
await sql(`CREATE TABLE orders (id int PRIMARY KEY, note text, data jsonb, bytes bytea);
  INSERT INTO orders SELECT n, 'note ' || n, '{"a": 1}', '\\x00ff' FROM generate_series(1, 60) n`);

type Handle = Parameters<typeof defineHandler>[0]['handle'];
const run = async (handle: NonNullable<Handle>, { signal = new AbortController().signal } = {}) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  t.ok(await askForRehearsal(database, event, 'ada'));
  await task(handle).pass(signal);
  return { event, found: await findRehearsal(database, event) };
};
const task = (handle: NonNullable<Handle>) =>
  rehearsalTask({
    ...{ database, log, timeoutMs: 60_000, intervalMs: 60_000 },
    ...{ maxAttempts: 5, retryDelaySeconds: 1, retryDelayMaxSeconds: 1, maxDeferrals: 3 },
    openDatabase: () =>
      openDatabase({ url: inbox.url, applicationName: 'postbell rehearse', maxConnections: 1, log }),
    handlers: () => [defineHandler({ provider: 'stripe', topic: 'invoice.paid', handle })],
  });
const resultOf = (found: { result: unknown } | undefined) => found!.result as Rehearsal;

t.test('each statement with its row count and its rows, 50 in total; all is rolled back', async (t) => {
  const { found } = await run(async ({ tx }) => {
    await tx.query('SELECT * FROM orders WHERE id = $1', [1]);
    await tx.query('SELECT id FROM orders ORDER BY id');
    await tx.query({ text: 'SELECT id, note FROM orders WHERE id = 3', rowMode: 'array' });
    await tx.query(`UPDATE orders SET note = $1 RETURNING 'late'`, ['paid']);
    await tx.query('BEGIN');
    await tx.query('DELETE FROM orders WHERE id = 60');
    await tx.query('COMMIT');
    await tx.query(`SELECT repeat('ä😀', 1000) AS long`);
  });
  t.match(found, { state: 'ended', askedBy: 'ada', problem: null });
  const { outcome, statements, tables } = resultOf(found);
  t.equal(outcome, 'processed');
  t.match(tables, [{ table: 'orders', updated: 60, deleted: 1 }]);
  t.same(
    statements.map(({ text, rowCount, rows }) => [text, rowCount, rows.length]),
    [
      ['SELECT * FROM orders WHERE id = $1', 1, 1],
      ['SELECT id FROM orders ORDER BY id', 60, 49],
      ['SELECT id, note FROM orders WHERE id = 3', 1, 0],
      [`UPDATE orders SET note = $1 RETURNING 'late'`, 60, 0],
      ['DELETE FROM orders WHERE id = 60', 1, 0],
      [`SELECT repeat('ä😀', 1000) AS long`, 1, 0],
    ],
  );
  t.equal(statements[0]!.rows[0], '{"id":1,"note":"note 1","data":{"a":1},"bytes":"\\\\x00ff"}');
  t.same(await sql(`SELECT count(*)::int FROM orders WHERE note LIKE 'note %'`), [{ count: 60 }]);
});

t.test(
  'long rows, and arrays of values, are cut and kept; a failure has the statements before it',
  async (t) => {
    const { found } = await run(async ({ tx }) => {
      await tx.query(`SELECT repeat('ä😀', 1000) AS long`);
      await tx.query({ text: 'SELECT 1 AS a, 2 AS a', rowMode: 'array' });
      await tx.query(`SELECT '{"deep": "${'x'.repeat(900)}"}'::jsonb AS data`);
      await tx.query('SELECT * FROM nowhere');
    });
    const { outcome, statements, reason } = resultOf(found);
    t.equal(outcome, 'failed');
    t.match(reason, /nowhere|42P01/);
    t.match(statements[0]!.rows[0], /^\{"long":"(ä😀)+ä?.?…"\}$/);
    t.equal(statements[1]!.rows[0], '[1,2]');
    t.equal(statements[2]!.rows[0]!.length, 500);
    t.same(statements.at(-1), { text: 'SELECT * FROM nowhere', rowCount: null, rows: [] });
  },
);

t.test('beyond 100 statements they are counted', async (t) => {
  const { found } = await run(async ({ tx }) => {
    for (let n = 0; n < 103; n++) await tx.query('SELECT 1');
    throw new PermanentError('enough');
  });
  t.match(resultOf(found), { outcome: 'failed', isFinal: true, furtherStatements: 3 });
  t.equal(resultOf(found).statements.length, 100);
});

t.test('of several workers one runs it, and it is not asked for twice', async (t) => {
  let runs = 0;
  const handle = async () => void runs++;
  const event = newEvent();
  await storeEvents(inbox, [event]);
  t.equal(await askForRehearsal(database, { source: 'stripe', eventId: 'none' }, 'ada'), false);
  t.equal(await askForRehearsal(database, event, 'ada'), true);
  t.equal(await askForRehearsal(database, event, 'grace'), false, 'it waits');
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 4 }, () => task(handle).pass(signal)));
  t.equal(runs, 1);
  t.equal(await askForRehearsal(database, event, 'grace'), true, 'once it has ended');
  await task(handle).pass(signal);
});

t.test('a rehearsal of a dead worker is lost, a late one is never run, an old one is deleted', async (t) => {
  const [event, gone] = [newEvent(), newEvent()];
  await storeEvents(inbox, [event, gone]);
  const stateOf = async () => (await findRehearsal(database, event))!.state;
  const { signal } = new AbortController();
  const fail = async () => t.fail('the handler ran');
  await askForRehearsal(database, event, 'ada');
  await sql(
    `UPDATE rehearsals SET started_at = now(), ends_before = now() + interval '1 h' WHERE ended_at IS NULL`,
  );
  t.equal(await stateOf(), 'running');
  await sql(
    "UPDATE rehearsals SET started_at = now() - interval '2 h', ends_before = now() WHERE ended_at IS NULL",
  );
  t.equal(await stateOf(), 'lost');
  t.ok(await askForRehearsal(database, event, 'ada'), 'after a lost one it can be asked for again');
  await sql(`UPDATE rehearsals SET asked_at = now() - interval '11 min' WHERE started_at IS NULL`);
  await task(fail).pass(signal);
  t.equal(await stateOf(), 'expired');
  await sql(`UPDATE rehearsals SET asked_at = now() - interval '25 h'`);
  await task(fail).pass(signal);
  t.same(await sql('SELECT FROM rehearsals'), []);
  await askForRehearsal(database, gone, 'ada');
  await sql('DELETE FROM webhook_events WHERE event_id = $1', [gone.eventId]);
  await task(fail).pass(signal);
  t.match(await findRehearsal(database, gone), { state: 'ended', problem: 'the event is no longer there' });
});

t.test('a worker that stops interrupts it, and says so', async (t) => {
  const stopping = new AbortController();
  let isRunning = false;
  const running = run(
    ({ signal }) => {
      isRunning = true;
      return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    { signal: stopping.signal },
  );
  await waitFor(() => isRunning, { what: 'the handler' });
  stopping.abort();
  t.match((await running).found, {
    state: 'ended',
    result: { outcome: 'busy', reason: 'its worker stops' },
  });
});
