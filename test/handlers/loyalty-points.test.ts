// Loyalty points of the example shop: adding is what must not happen twice.
import t from 'tap';
import { openShop, type Rung } from './shop.ts';

const shop = await openShop(t, { MAX_ATTEMPTS: 2 });
let count = 0;

interface OrderWish {
  price: string;
  currency?: string;
  customer?: number | null;
  id?: string;
}

function ringOrder({ price, currency = 'EUR', customer = 1, id }: OrderWish): Promise<Rung> {
  count++;
  const body = {
    id: 5_500_000_000_000 + count,
    currency,
    total_price: price,
    customer: customer === null ? null : { id: customer, email: 'ada@example.com' },
  };
  return shop.ring('shopify', 'orders/create', body, id ?? `order-${count}`);
}

async function balance(customer: number): Promise<unknown> {
  const [row] = await shop.sql('SELECT points FROM example_shop.customers WHERE id = $1', [customer]);
  return row?.points;
}

async function pointsOf(customer: number): Promise<unknown[]> {
  const rows = await shop.sql('SELECT points FROM example_shop.loyalty_points WHERE customer_id = $1', [
    customer,
  ]);
  return rows.map((row) => row.points);
}

t.test('an order gives its customer a point per euro', async (t) => {
  await shop.becomes(await ringOrder({ price: '42.99', customer: 7_006_006_006_006 }), 'PROCESSED');
  await shop.becomes(
    await ringOrder({ price: '10', customer: 7_006_006_006_006, currency: 'USD' }),
    'PROCESSED',
  );
  t.same((await pointsOf(7_006_006_006_006)).sort(), [42, 9]);
  t.equal(await balance(7_006_006_006_006), '51');
});

t.test('forty orders of one customer at the same moment all count', async (t) => {
  const rungs = await Promise.all(
    Array.from({ length: 40 }, () => ringOrder({ price: '1.00', customer: 2 })),
  );
  for (const rung of rungs) await shop.becomes(rung, 'PROCESSED');
  t.equal((await pointsOf(2)).length, 40);
  t.equal(await balance(2), '40');
});

t.test('a guest has no account to credit', async (t) => {
  const before = await shop.sql('SELECT count(*) FROM example_shop.loyalty_points');
  await shop.becomes(await ringOrder({ price: '99.00', customer: null }), 'PROCESSED');
  t.same(await shop.sql('SELECT count(*) FROM example_shop.loyalty_points'), before);
});

t.test('an order that comes again under a new id, which Shopify does not sign, gives nothing', async (t) => {
  const order = { id: 1, currency: 'EUR', total_price: '5.00', customer: { id: 3 } };
  const first = await shop.ring('shopify', 'orders/create', order, 'first');
  await shop.becomes(first, 'PROCESSED');
  const second = await shop.ring('shopify', 'orders/create', order, 'second');
  t.equal(second.duplicate, false, 'it has a row of its own');
  await shop.becomes(second, 'IGNORED');
  t.equal(await balance(3), '5');
});

t.test(
  'a currency without a rate fails until there is one; a replay then gives the points once',
  async (t) => {
    const rung = await ringOrder({ price: '70.00', currency: 'SEK', customer: 4 });
    t.match(await shop.becomes(rung, 'FAILED'), { attempts: 2, last_error: /no loyalty rate for SEK/ });
    t.same(await pointsOf(4), []);

    await shop.sql(`INSERT INTO example_shop.loyalty_rates VALUES ('SEK', 0.1)`);
    await shop.sql(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = $1`, [rung.eventId]);
    t.match(await shop.becomes(rung, 'PROCESSED'), { attempts: 3, last_error: null });
    t.same(await pointsOf(4), [7]);
  },
);
