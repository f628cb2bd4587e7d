// Quick attempts that share a transaction: what one of them does is never another's loss.
import t from 'tap';
import { ConnectionLostError } from '../../src/database/database.ts';
import { PermanentError } from '../../src/errors.ts';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import type { AttemptDeps } from '../../src/worker/attempt.ts';
import { readEntries } from '../../src/worker/entries.ts';
import type { Entry } from '../../src/worker/job.ts';
import { isShareable, runShared, type SharedResult } from '../../src/worker/shared-transaction.ts';
import { Timings } from '../../src/worker/timings.ts';
import { rowOf } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
// No unique key: twice would show.
await inbox.sql('CREATE TABLE effects (event_id text, transaction xid8 DEFAULT pg_current_xact_id())');
await inbox.sql('CREATE TABLE checked (value int UNIQUE DEFERRABLE INITIALLY DEFERRED)');

type Handle = Parameters<typeof defineHandler>[0]['handle'];
const handlerOf = (handle: Handle) => defineHandler({ provider: 'stripe', topic: '*', handle });

/** Writes the effect of each event and then does what `also` has under the event's place in the row. */
function effects(also: Record<number, Handle> = {}) {
  const seen: string[] = [];
  const handler = handlerOf(async (context) => {
    const place = seen.push(context.event.id) - 1;
    await context.tx.query('INSERT INTO effects (event_id) VALUES ($1)', [context.event.id]);
    await also[place]?.(context);
  });
  return { handler, seen };
}

/** So long that no machine is too slow for it. */
const longMs = 60_000;

/** Runs `count` new events of one job through `handler` in one transaction, if they allow it. */
async function share(count: number, handler: Handler, deps: Partial<AttemptDeps> = {}, maxMs = longMs) {
  const events = Array.from({ length: count }, () => newEvent());
  await storeEvents(inbox, events, count);
  const [job] = await inbox.queue.fetch(1);
  const entries = (await readEntries(inbox.database, [job!], [handler])).get(job!)!;
  const ids = events.map(({ eventId }) => eventId);
  const signal = new AbortController().signal;
  const settings = {
    ...inbox,
    timeoutMs: 60_000,
    timings: new Timings(),
    stopping: new AbortController().signal,
    signal,
    ...deps,
  };
  const result = await runShared(entries, settings, maxMs);
  return { events, ids, places: placesOf(result, ids), threw: result.threw };
}

/** The result, with each event as its place in the row. */
function placesOf({ processed, threw, alone, unclaimed, unrun }: SharedResult, ids: string[]) {
  const placeOf = ({ event }: Entry) => ids.indexOf(event.eventId);
  return {
    processed: processed.map(({ entry }) => placeOf(entry)),
    threw: threw.map(({ entry }) => placeOf(entry)),
    alone: alone.map(placeOf),
    unclaimed: unclaimed.map(placeOf),
    unrun: unrun.map(placeOf),
  };
}
const nothing = { processed: [], threw: [], alone: [], unclaimed: [], unrun: [] };

/** Which of the events are PROCESSED; each of these must have one effect, and the others none. */
async function processedOf(ids: string[]): Promise<number[]> {
  const rows = await inbox.sql(
    `SELECT event_id, status, (SELECT count(*)::int FROM effects f WHERE f.event_id = e.event_id) AS effects
     FROM webhook_events e WHERE event_id = ANY($1)`,
    [ids],
  );
  for (const { status, effects } of rows) {
    if (effects !== (status === 'PROCESSED' ? 1 : 0)) throw new Error(`${effects} effects and ${status}`);
  }
  return rows
    .filter(({ status }) => status === 'PROCESSED')
    .map((row) => ids.indexOf(row.event_id as string))
    .sort();
}

t.test('events in a row are one transaction, and each is PROCESSED with its effect', async (t) => {
  const { handler } = effects();
  const { ids, places, events } = await share(4, handler);
  t.same(places, { ...nothing, processed: [0, 1, 2, 3] });
  t.same(await processedOf(ids), [0, 1, 2, 3]);
  const transactions = await inbox.sql('SELECT DISTINCT transaction FROM effects WHERE event_id = ANY($1)', [
    ids,
  ]);
  t.equal(transactions.length, 1);
  t.match(await rowOf(inbox, events[3]!), { attempts: 1, last_error: null });
});

t.test(
  'a handler that fails is rolled back alone, ends the row, and the others do not run again',
  async (t) => {
    for (const [title, fails] of Object.entries<Handle>({
      'a throw': async () => {
        throw new PermanentError('not this one');
      },
      'a statement that failed': ({ tx }) => tx.query('SELECT 1/0'),
      'a failed statement that was swallowed': async ({ tx }) => {
        await tx.query('SELECT 1/0').catch(() => {});
      },
      'a refused statement': ({ tx }) => tx.query('COMMIT'),
    })) {
      const { handler, seen } = effects({ 2: fails });
      const { ids, places } = await share(5, handler);
      t.same(places, { ...nothing, processed: [0, 1], threw: [2], unrun: [3, 4] }, title);
      t.same(await processedOf(ids), [0, 1], title);
      t.same(seen, ids.slice(0, 3), 'each ran once');
    }
  },
);

t.test('the first handler fails with no neighbour', async (t) => {
  const { handler } = effects({ 0: ({ tx }) => tx.query('SELECT 1/0') });
  const { ids, places, threw } = await share(3, handler);
  t.same(places, { ...nothing, threw: [0], unrun: [1, 2] });
  t.match(threw[0]?.error, { code: '22012' });
  t.same(await processedOf(ids), []);
});

t.test('a statement that was not awaited and fails is charged to its own handler', async (t) => {
  const forgets: Handle = async ({ tx }) => {
    void tx.query('SELECT 1/0').catch(() => {});
  };
  const { handler, seen } = effects({ 1: forgets });
  const { ids, places, threw } = await share(3, handler);
  t.same(places, { ...nothing, processed: [0], threw: [1], unrun: [2] });
  t.match(String(threw[0]?.error), /division by zero/);
  t.same(await processedOf(ids), [0]);
  t.same(seen, ids.slice(0, 2));
});

t.test('where two transactions wait for each other, the victim runs alone', async (t) => {
  // As Postgres tells a deadlock's victim: a function may raise it, and two rows in two orders would take a second.
  await inbox.sql(`CREATE FUNCTION yield_to_other() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE SQLSTATE '40P01'; END $$`);
  const { handler } = effects({ 1: ({ tx }) => tx.query('SELECT yield_to_other()') });
  const { ids, places } = await share(3, handler);
  t.same(places, { ...nothing, processed: [0], alone: [1], unrun: [2] });
  t.same(await processedOf(ids), [0]);
});

t.test(
  'a handler that runs out of time takes the connection along and is charged, the others are not',
  async (t) => {
    const { handler } = effects({ 1: () => new Promise(() => {}) });
    const { ids, places, threw } = await share(3, handler, { timeoutMs: 200 });
    t.same(places, { ...nothing, threw: [1], alone: [0], unrun: [2] });
    t.match(threw[0]?.error, { name: 'HandlerTimeoutError' });
    t.same(await processedOf(ids), []);
  },
);

t.test('a lost connection is no event’s fault', async (t) => {
  const { handler } = effects({ 1: ({ tx }) => tx.query('SELECT pg_terminate_backend(pg_backend_pid())') });
  const { ids, places, threw } = await share(3, handler);
  t.same(places, { ...nothing, threw: [0, 1], unrun: [2] });
  for (const { error } of threw) t.ok(error instanceof ConnectionLostError);
  t.same(await processedOf(ids), []);
});

t.test('a COMMIT that fails: each runs alone, where it fails alone', async (t) => {
  const { handler } = effects({
    1: ({ tx }) => tx.query('INSERT INTO checked VALUES (1), (1)'), // deferred: only COMMIT finds it
  });
  const { ids, places } = await share(3, handler);
  t.same(places, { ...nothing, alone: [0, 1, 2] });
  t.same(await processedOf(ids), []);
});

t.test('rows that are settled or locked by others are left out before a handler runs', async (t) => {
  const operator = await openSession(t, inbox.url);
  const events = Array.from({ length: 4 }, () => newEvent());
  await storeEvents(inbox, events, 4);
  const ids = events.map(({ eventId }) => eventId);
  const { handler, seen } = effects();
  const [job] = await inbox.queue.fetch(1);
  const entries = (await readEntries(inbox.database, [job!], [handler])).get(job!)!;
  await operator(`UPDATE webhook_events SET status = 'IGNORED' WHERE event_id = $1`, [ids[0]]);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [ids[2]]);
  const signal = new AbortController().signal;
  const settings = {
    ...inbox,
    timeoutMs: 60_000,
    timings: new Timings(),
    stopping: new AbortController().signal,
    signal,
  };
  const result = await runShared(entries, settings, longMs);
  t.same(placesOf(result, ids), { ...nothing, processed: [1, 3], unclaimed: [0, 2] });
  t.same(seen, [ids[1], ids[3]]);
  await operator('ROLLBACK');
});

t.test(
  'rows of a shared transaction are locked while it runs: an operator waits, and nobody runs again',
  async (t) => {
    const operator = await openSession(t, inbox.url);
    const gate = makeGate();
    const { handler, seen } = effects({ 1: () => gate.pass() });
    const sharing = share(3, handler);
    await waitFor(() => gate.arrived() === 1, { what: 'the second handler' });
    const changing = operator(`UPDATE webhook_events SET status = 'IGNORED' WHERE event_id = $1`, [seen[0]]);
    await waitFor(
      async () =>
        (
          await inbox.sql(
            `SELECT FROM pg_stat_activity WHERE datname = current_database()
              AND application_name = 'operator' AND wait_event_type = 'Lock'`,
          )
        ).length === 1,
      { what: 'the operator to wait' },
    );
    gate.open();
    const { places, ids } = await sharing;
    t.same(places.alone, []);
    t.same(places.processed.slice(0, 2), [0, 1]);
    await changing;
    t.equal(seen.filter((id) => id === ids[0]).length, 1);
  },
);

t.test(
  'settings and locks that outlive a statement end the row: the next handler must not find them',
  async (t) => {
    for (const text of [
      `SET LOCAL statement_timeout = '1h'`,
      `SELECT set_config('lock_timeout', '1h', true)`,
      'SELECT pg_advisory_xact_lock(1)',
      'CREATE TEMP TABLE scratch (id int) ON COMMIT DROP',
      'SAVEPOINT mine',
    ]) {
      const { handler } = effects({ 1: ({ tx }) => tx.query(text) });
      const { ids, places } = await share(3, handler);
      t.same(places, { ...nothing, processed: [0, 1], unrun: [2] }, text);
      t.same(await processedOf(ids), [0, 1]);
    }
  },
);

t.test('no handler starts in a transaction that is too old', async (t) => {
  const { handler } = effects({ 1: ({ tx }) => tx.query('SELECT pg_sleep(0.01)') });
  const { places } = await share(3, handler, {}, 5);
  t.equal(places.processed[0], 0);
  t.ok(places.unrun.includes(2));
});

t.test('a handler that is interrupted ends the row, and its predecessors are committed', async (t) => {
  const stop = new AbortController();
  const { handler } = effects({ 1: async () => stop.abort(new Error('stops')) });
  const { places } = await share(4, handler, { signal: stop.signal });
  t.same(places, { ...nothing, processed: [0], threw: [1], unrun: [2, 3] });
});

t.test('which events may share a transaction', async (t) => {
  const plain = handlerOf(async () => {});
  await storeEvents(inbox, [newEvent()]);
  const [job] = await inbox.queue.fetch(1);
  const entryOf = async (handlers: Handler[]) =>
    (await readEntries(inbox.database, [job!], handlers)).get(job!)![0]!;
  const first = await entryOf([plain]);
  t.ok(isShareable(first));
  t.ok(isShareable(await entryOf([{ ...plain, transaction: 'shared' }])));
  for (const [title, other] of Object.entries({
    'failed before': { ...first, event: { ...first.event, failures: 1 } },
    'deferred before': { ...first, event: { ...first.event, deferrals: 1 } },
    'has no handler': await entryOf([]),
    'has an entity': await entryOf([{ ...plain, entity: () => 'order 1' }]),
    'has a batch': await entryOf([{ ...plain, batch: async () => {} }]),
    'wants its own transaction': await entryOf([plain, { ...plain, transaction: 'own' }]),
  })) {
    t.notOk(isShareable(other), title);
  }
});
