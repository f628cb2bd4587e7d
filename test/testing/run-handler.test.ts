// `runHandler` and `runBatch` give what a worker would, and leave the database as it was.
import t from 'tap';
import { z } from 'zod';
import { Later, PermanentError } from '../../src/errors.ts';
import { defineHandler, type Handler, type HandlerTransaction } from '../../src/handlers/handler.ts';
import { type BatchOptions, type RunOptions, runBatch, runHandler } from '../../src/testing/index.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';

const { url: database } = await createTestDatabase(t);
const sql = await openSession(t, database);
await sql(`CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE);
  CREATE TABLE orders (id text PRIMARY KEY, customer int REFERENCES customers DEFERRABLE INITIALLY DEFERRED,
    paid numeric, paid_at timestamptz);
  CREATE TABLE notes (text text);
  INSERT INTO customers VALUES (1, 'ada@example.com'), (2, 'bob@example.com');
  INSERT INTO orders VALUES ('o1', 1, NULL, NULL), ('o2', 2, NULL, NULL), ('o3', 1, NULL, NULL);
  INSERT INTO notes VALUES ('old'), ('older')`);

const everything = `SELECT (SELECT json_agg(c) FROM customers c) AS customers, (SELECT json_agg(o) FROM orders o) AS orders,
  (SELECT json_agg(n) FROM notes n) AS notes, (SELECT count(*) FROM webhook_events) AS events,
  (SELECT count(*) FROM entity_clock) AS clocks, (SELECT count(*) FROM failed_attempts) AS failures`;
const before = await sql(everything);

const topic = 'invoice.paid';
const run = (handle: Handler['handle'], options: Partial<RunOptions> = {}, more: Partial<Handler> = {}) =>
  runHandler(defineHandler({ provider: 'stripe', topic, ...more, handle }), {
    ...{ database, topic, payload: { id: 'o1' }, timeoutMs: 60_000 },
    ...options,
  } as RunOptions);

t.test('the rows that the handler inserted, updated and deleted, and no others', async (t) => {
  const { changes, ...rest } = await run(
    async ({ tx }) => {
      await tx.query(`UPDATE orders SET paid = 12.50, paid_at = '2026-03-01T09:00:00Z' WHERE id = 'o1'`);
      await tx.query(`UPDATE orders SET paid = 13 WHERE id = 'o1'`);
      await tx.query('SELECT FROM orders WHERE id = $1 FOR UPDATE', ['o3']);
      await tx.query('SAVEPOINT a');
      await tx.query(`DELETE FROM orders WHERE id = 'o2'`);
      await tx.query('RELEASE a');
      await tx.query('SAVEPOINT b');
      await tx.query(`DELETE FROM orders WHERE id = 'o3'`);
      await tx.query('ROLLBACK TO b');
      await tx.query(`INSERT INTO orders VALUES ('o4', 2), ('o5', 3)`);
      await tx.query(`DELETE FROM orders WHERE id = 'o5'`);
      await tx.query(`UPDATE notes SET text = 'new' WHERE text = 'old'`);
    },
    { prepare: (tx) => tx.query(`INSERT INTO customers VALUES (3, 'eve@example.com')`) },
  );
  t.same(rest, { outcome: 'processed', status: 'PROCESSED' });
  const none = { paid: null, paid_at: null };
  t.same(changes, [
    { table: 'notes', before: null, after: { text: 'new' } },
    { table: 'notes', before: { text: 'old' }, after: null },
    {
      table: 'orders',
      before: { id: 'o1', customer: 1, ...none },
      after: { id: 'o1', customer: 1, paid: '13', paid_at: new Date('2026-03-01T09:00:00Z') },
    },
    { table: 'orders', before: null, after: { id: 'o4', customer: 2, ...none } },
    { table: 'orders', before: { id: 'o2', customer: 2, ...none }, after: null },
  ]);
});

t.test('what others commit meanwhile is none of its changes', async (t) => {
  const other = await openSession(t, database);
  const { changes } = await run(async ({ tx }) => {
    await tx.query(`UPDATE orders SET paid = 1 WHERE id = 'o1'`);
    await other(`INSERT INTO orders VALUES ('o6', 1); UPDATE orders SET paid = 2 WHERE id = 'o6'`);
    await other(`UPDATE orders SET paid = 2 WHERE id = 'o2'; DELETE FROM orders WHERE id = 'o3'`);
  });
  t.match(changes, [{ table: 'orders', before: { id: 'o1', paid: null }, after: { paid: '1' } }]);
  t.equal(changes.length, 1);
  await other(`DELETE FROM orders; INSERT INTO orders VALUES ('o1', 1), ('o2', 2), ('o3', 1)`);
});

t.test('what it throws decides about the event as in a worker', async (t) => {
  const error = new Error('no such order');
  const failing = (thrown: unknown, options: Partial<RunOptions> = {}) =>
    run(async ({ tx }) => {
      await tx.query(`UPDATE orders SET paid = 1`);
      throw thrown;
    }, options);
  const failed = { outcome: 'failed', reason: 'Error: no such order', error, changes: [] };
  t.same(await failing(error), { ...failed, status: 'PENDING' });
  t.same(await failing(error, { attempt: 5 }), { ...failed, status: 'FAILED' });
  t.match(await failing(new PermanentError('never')), { status: 'FAILED', reason: 'PermanentError: never' });
  t.match(await failing(new Later({ afterSeconds: 5, reason: 'not yet' })), {
    ...{ outcome: 'deferred', status: 'PENDING', reason: 'Later: not yet' },
    error: { afterSeconds: 5 },
  });
});

t.test('schemas, also asynchronous ones', async (t) => {
  for (const payload of [
    z.object({ id: z.number() }),
    z.object({ id: z.number() }).refine(async () => true),
  ]) {
    const schema = { payload } as unknown as Partial<Handler>;
    const seen: unknown[] = [];
    const handle: Handler['handle'] = async ({ payload }) => seen.push(payload);
    t.match(await run(handle, {}, schema), { status: 'FAILED', reason: /does not match .* at: id$/ });
    t.match(await run(handle, { payload: { id: 7, more: 1 } }, schema), { status: 'PROCESSED' });
    t.same(seen, [{ id: 7 }]);
  }
});

t.test('the topic, the entity and its clock decide whether the handler runs', async (t) => {
  const never: Handler['handle'] = async () => t.fail('it ran');
  t.match(await run(never, { topic: 'invoice.void' }), {
    ...{ outcome: 'ignored', status: 'IGNORED', reason: 'no handler for stripe invoice.void' },
  });
  const newer = `INSERT INTO entity_clock (source, entity, last_occurred_at, last_event_id)
    VALUES ('stripe', 'o1', '2026-03-02T00:00:00Z', 'evt_newer')`;
  const prepare = (tx: HandlerTransaction) => tx.query(newer);
  const stale = {
    occurredAt: new Date('2026-03-01T00:00:00Z'),
    prepare,
  };
  t.match(await run(never, stale, { entity: () => 'o1' }), { outcome: 'ignored', reason: 'stale' });
  t.match(await run(async () => {}, stale, { entity: () => 'o2' }), { outcome: 'processed' });
});

t.test('the guard, aborted transactions, and constraints that COMMIT would check', async (t) => {
  t.match(await run(({ tx }) => tx.query('COMMIT')), { status: 'FAILED', reason: /tx refuses COMMIT/ });
  const swallow: Handler['handle'] = async ({ tx }) => {
    await tx.query(`INSERT INTO customers VALUES (1)`).catch(() => {});
  };
  t.match(await run(swallow), { status: 'PENDING', reason: /a statement failed and the handler went on/ });
  t.match(await run(({ tx }) => tx.query(`INSERT INTO orders VALUES ('o7', 99)`)), {
    ...{ outcome: 'failed', status: 'PENDING', reason: /orders_customer_fkey/ },
  });
  const own = `UPDATE webhook_events SET status = 'IGNORED', ignored_reason = 'by hand'`;
  t.match(await run(({ tx }) => tx.query(own)), { reason: /changed its event's own row/ });
});

t.test('the time-out, with and without a reaction to the signal', async (t) => {
  const handlers: Handler['handle'][] = [
    ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
    ({ tx }) => tx.query('SELECT pg_sleep(60)'),
  ];
  for (const handle of handlers)
    t.match(await run(handle, { timeoutMs: 200 }), { status: 'PENDING', reason: /ran longer than 0.2 s/ });
});

t.test('a body is read as the provider sends it', async (t) => {
  const seen: unknown[] = [];
  const see: Handler['handle'] = async ({ event, payload }) => seen.push({ ...event, payload });
  const body = JSON.stringify({ id: 'evt_1', type: topic, created: 1_772_355_600, data: { object: {} } });
  const options = { body, payload: undefined, topic: undefined } as unknown as Partial<RunOptions>;
  t.match(await run(see, options), { status: 'PROCESSED' });
  t.match(seen, [
    { id: 'evt_1', topic, source: 'stripe', attempt: 1, occurredAt: new Date(1_772_355_600_000) },
  ]);
  const github = { provider: 'github', topic: 'issues.opened' };
  const headers = {
    'X-GitHub-Event': 'issues',
    'X-GitHub-Delivery': 'd1',
    'Content-Type': 'application/json',
  };
  const opened = { ...options, body: '{"action":"opened"}', headers } as Partial<RunOptions>;
  t.match(await run(see, opened, github), { status: 'PROCESSED' });
  t.match(seen.at(-1), { id: 'd1', topic: 'issues.opened', headers: { 'x-github-event': 'issues' } });
  const cut = { ...options, body: body.slice(0, -5), topic };
  t.match(await run(see, cut as Partial<RunOptions>, { payload: z.object({}) }), {
    ...{ status: 'FAILED', reason: /the body could not be read/ },
  });
});

t.test(
  'batch gets all events at once, and what it throws sends them one by one through handle',
  async (t) => {
    const payload = z.object({ id: z.string() });
    const runAll = (batch: Handler['batch'], options: Partial<BatchOptions> = {}) =>
      runBatch(
        defineHandler({
          provider: 'stripe',
          topic,
          payload,
          handle: async () => t.fail('handle ran'),
          batch: batch!,
        }),
        {
          ...{ database, timeoutMs: 60_000 },
          events: ['o1', 'o2'].map((id) => ({ topic, id: `evt_${id}`, payload: { id } })),
          ...options,
        },
      );
    const pay: Handler['batch'] = async ({ items, tx, signal }) => {
      signal.throwIfAborted();
      const ids = (items as readonly { payload: { id: string } }[]).map(({ payload: { id } }) => id);
      t.same(
        items.map(({ event }) => event.id),
        ids.map((id) => `evt_${id}`),
      );
      await tx.query('UPDATE orders SET paid = 1 WHERE id = ANY ($1)', [ids]);
    };
    t.match(await runAll(pay), {
      outcome: 'processed',
      changes: [
        { table: 'orders', before: { id: 'o1', paid: null }, after: { paid: '1' } },
        { table: 'orders', before: { id: 'o2', paid: null }, after: { paid: '1' } },
      ],
    });
    const error = new Error('no such order');
    const failing: Handler['batch'] = async (context) => {
      await pay(context);
      throw error;
    };
    const oneByOne = { outcome: 'one by one', changes: [] };
    t.same(await runAll(failing), { ...oneByOne, reason: 'Error: no such order', error });
    t.match(await runAll(({ tx }) => tx.query('COMMIT')), { ...oneByOne, reason: /tx refuses COMMIT/ });
    t.match(await runAll(({ tx }) => tx.query('SELECT pg_sleep(60)'), { timeoutMs: 200 }), {
      ...{ ...oneByOne, reason: /ran longer than 0.2 s/ },
    });
    const never: Handler['batch'] = async () => t.fail('batch ran');
    const rejected = async (events: unknown, reason: RegExp) =>
      t.rejects(runAll(never, { events } as BatchOptions), { name: 'TypeError', message: reason });
    await rejected([{ topic, payload: { id: 1 } }], /events\[0\] would not be given to batch: .* at: id/);
    await rejected([{ topic: 'invoice.void', payload: { id: 'o1' } }], /no handler for stripe invoice.void/);
    await rejected([], /1 to 200 events/);
    const twice = { topic, id: 'evt_1', payload: { id: 'o1' } };
    await rejected([twice, twice], /have the same id|has an event/);
    await t.rejects(runAll(undefined), /no batch: use runHandler/);
  },
);

t.test('wrong options and databases are told with the remedy', async (t) => {
  const noop = async () => {};
  await t.rejects(
    run(noop, {}, { provider: 'strpe' }),
    /there is no provider "strpe"; did you mean stripe\?/,
  );
  await t.rejects(run(noop, { payload: undefined } as Partial<RunOptions>), /needs \{ topic, payload \}, or/);
  await t.rejects(
    run(noop, { database: 'postgres://nobody@127.0.0.1:1/none' }),
    /ECONNREFUSED.*start Postgres/,
  );
  const { url: empty } = await createTestDatabase(t, { migrated: false });
  await t.rejects(run(noop, { database: empty }), /\(42P01\); run: postbell migrate/);
  await t.rejects(run(noop, { prepare: () => Promise.reject(new Error('no fixture')) }), /^no fixture$/);
});

t.test('nothing of all that was committed', async (t) => {
  t.same(await sql(everything), before);
});
