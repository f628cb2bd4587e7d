// The ORMs of docs/orms.md on a handler's tx, by the very handlers that the page shows: run by `npm run test:orms`, which
// installs them.
import { readFileSync } from 'node:fs';
import { from as copyFrom } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import t from 'tap';
import { defineHandler, type Handler, type HandlerTransaction } from '../../src/index.ts';
import { failuresOf, rowOf, runNext } from '../support/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import drizzle from './guide/drizzle.ts';
import knex from './guide/knex.ts';
import kysely from './guide/kysely.ts';

const inbox = await openInbox(t);
await inbox.sql(`
  CREATE TABLE orders (id text PRIMARY KEY, status text NOT NULL);
  CREATE TABLE payments (id text PRIMARY KEY, order_id text REFERENCES orders, amount int CHECK (amount > 0));
  CREATE TABLE coupons (code text PRIMARY KEY, used timestamptz DEFAULT now())`);

/** Pays an order of its own by one event; what is there afterwards. */
async function pay(handlers: Handler[], payload: { amount: number; coupon: string }) {
  const event = newEvent();
  const order = `order of ${event.eventId}`;
  const payloadText = JSON.stringify({ order, ...payload });
  await storeEvents(inbox, [{ ...event, payloadText }]);
  await inbox.sql(`INSERT INTO orders VALUES ($1, 'new')`, [order]);
  await runNext(inbox, handlers);
  const { status, last_error: error } = await rowOf(inbox, event);
  const failures = await failuresOf(inbox, event);
  const [row] = await inbox.sql(
    `SELECT o.status, p.amount, o.xmin = p.xmin AND o.xmin = e.xmin AS "isOneCommit",
       (SELECT count(*)::int FROM coupons WHERE code = $2) AS coupons
     FROM orders o LEFT JOIN payments p ON p.order_id = o.id LEFT JOIN webhook_events e ON e.event_id = p.id
     WHERE o.id = $1`,
    [order, payload.coupon],
  );
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE status = 'PENDING'`);
  await inbox.sql('DELETE FROM pgboss.job');
  return { event, status, error, failures, row };
}

for (const [name, handler] of Object.entries({ drizzle, kysely, knex })) {
  t.test(
    `${name}: insert, join and a transaction that commits are in one commit with PROCESSED`,
    async (t) => {
      const logged = inbox.logs.length;
      const { event, status, row } = await pay([handler], { amount: 5, coupon: `${name}-1` });
      t.equal(status, 'PROCESSED');
      t.match(row, { status: 'coupon used', amount: 5, coupons: 1 });
      const line = inbox.logs.slice(logged).find(({ msg }) => msg === 'paid');
      t.match(line, { id: `order of ${event.eventId}`, paymentId: event.eventId }, 'the join of equal names');
    },
  );

  t.test(`${name}: an inner transaction rolls back alone`, async (t) => {
    await inbox.sql('INSERT INTO coupons VALUES ($1)', [`${name}-2`]);
    const { status, row } = await pay([handler], { amount: 6, coupon: `${name}-2` });
    t.equal(status, 'PROCESSED');
    t.match(row, { status: 'paid, without coupon', amount: 6 });
  });

  t.test(`${name}: what is outside an inner transaction is one commit with PROCESSED`, async (t) => {
    // The rows of a savepoint bear an id of their own: so the inner one is rolled back.
    const { row } = await pay([handler], { amount: 7, coupon: `${name}-2` });
    t.match(row, { isOneCommit: true });
  });

  t.test(`${name}: effects of all handlers are rolled back together`, async (t) => {
    const fail = defineHandler({
      provider: 'stripe',
      topic: '*',
      handle: async () => {
        throw new Error('a later handler fails');
      },
    });
    const { status, error, row } = await pay([handler, fail], { amount: 8, coupon: `${name}-3` });
    t.match({ status, error }, { status: 'PENDING', error: 'Error: a later handler fails' });
    t.match(row, { status: 'new', amount: null, coupons: 0 });
  });

  t.test(
    `${name}: the report of a failed statement has the handler's line and the SQL, no value`,
    async (t) => {
      const { event, status, error, failures, row } = await pay([handler], {
        amount: -77_123,
        coupon: `${name}-4`,
      });
      t.equal(status, 'PENDING');
      t.match(row, { status: 'new', amount: null, coupons: 0 });
      t.match(error, /insert into "payments" \((?:"\w+"(?:, )?){3}\) values \(\$1, \$2, \$3\)/);
      t.match(error, /SQLSTATE 23514, table payments, constraint payments_amount_check/);
      t.equal(failures.length, 1);
      t.match(failures[0]?.stack, lineOf(name, /payments['")]/), "the handler's line");
      t.notMatch(
        JSON.stringify([error, failures[0]?.error, failures[0]?.stack]),
        new RegExp(`77.?123|${event.eventId}`),
      );
    },
  );
}

/** The frame of one of the lines of the guide's handler. */
function lineOf(name: string, words: RegExp): RegExp {
  const lines = readFileSync(new URL(`guide/${name}.ts`, import.meta.url), 'utf8').split('\n');
  const at = lines.findIndex(
    (line, index) => index > lines.findIndex((l) => l.includes('async handle(')) && words.test(line),
  );
  return new RegExp(`guide/${name}\\.ts:(${[at, at + 1, at + 2, at + 3].join('|')}):`);
}

for (const [name, open] of Object.entries({
  'pg-cursor': (tx) => tx.query(new Cursor('SELECT 1') as never),
  'pg-query-stream': (tx) => tx.query(new QueryStream('SELECT 1') as never),
  'pg-copy-streams': (tx) => tx.query(copyFrom('COPY coupons FROM STDIN') as never),
} as Record<string, (tx: HandlerTransaction) => unknown>)) {
  t.test(`${name} is refused with the remedy`, async (t) => {
    const handle = async ({ tx }: { tx: HandlerTransaction }) => void (await open(tx));
    const { status, error } = await pay([defineHandler({ provider: 'stripe', topic: '*', handle })], {
      amount: 1,
      coupon: name,
    });
    t.match(
      { status, error },
      { status: 'FAILED', error: /tx takes no cursor and no stream .* LIMIT.* unnest/ },
    );
  });
}
