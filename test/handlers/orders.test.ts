// Orders of the example shop: paid by card or by a slow bank transfer, in whatever order Stripe's events come.
import t from 'tap';
import { openShop, type Rung } from './shop.ts';

const shop = await openShop(t);
let count = 0;

const days = 86_400;
const march = Date.parse('2026-03-01T09:00:00Z') / 1_000;

function newIntent(): string {
  count++;
  return `pi_${count}`;
}

function ringStripe(type: string, object: object, created: number): Promise<Rung> {
  count++;
  return shop.ring('stripe', type, { id: `evt_${count}`, type, created, data: { object } });
}

const pending = (intent: string, created: number) =>
  ringStripe(
    'charge.pending',
    { payment_intent: intent, currency: 'eur', metadata: { order_id: '7' } },
    created,
  );
const paid = (intent: string, amount: number, created: number) =>
  ringStripe(
    'payment_intent.succeeded',
    { id: intent, amount_received: amount, currency: 'eur', metadata: { order_id: '7' } },
    created,
  );
const refunded = (intent: string, amount: number, created: number, currency = 'eur') =>
  ringStripe('charge.refunded', { payment_intent: intent, amount_refunded: amount, currency }, created);

async function order(intent: string): Promise<Record<string, unknown> | undefined> {
  const [row] = await shop.sql('SELECT * FROM example_shop.orders WHERE payment_intent = $1', [intent]);
  return row;
}

async function bookings(intent: string): Promise<Record<string, unknown>[]> {
  return shop.sql('SELECT amount, currency FROM example_shop.payments WHERE payment_intent = $1', [intent]);
}

t.test('a bank transfer leaves its order awaiting funds, and pays it three days later', async (t) => {
  const intent = newIntent();
  await shop.becomes(await pending(intent, march), 'PROCESSED');
  t.match(await order(intent), { status: 'awaiting funds', order_id: '7', paid_at: null });

  const { entity } = await shop.becomes(await paid(intent, 48_000, march + 3 * days), 'PROCESSED');
  t.equal(entity, intent);
  t.match(await order(intent), {
    status: 'paid',
    amount_paid: '48000',
    awaiting_since: new Date(march * 1_000),
    paid_at: new Date((march + 3 * days) * 1_000),
  });
  t.same(await bookings(intent), [{ amount: '48000', currency: 'eur' }]);
});

t.test(
  'a transfer announced after it was paid is IGNORED as stale; the order does not go back',
  async (t) => {
    const intent = newIntent();
    await shop.becomes(await paid(intent, 100, march + 3 * days), 'PROCESSED');
    t.match(await shop.becomes(await pending(intent, march), 'IGNORED'), { ignored_reason: 'stale' });
    t.match(await order(intent), { status: 'paid' });
  },
);

t.test('an announcement of the same second runs after the payment and changes nothing', async (t) => {
  const intent = newIntent();
  await shop.becomes(await paid(intent, 100, march), 'PROCESSED');
  await shop.becomes(await pending(intent, march), 'PROCESSED');
  t.match(await order(intent), { status: 'paid', awaiting_since: null });
});

t.test('a payment that is delivered again is booked once', async (t) => {
  const intent = newIntent();
  const object = { id: intent, amount_received: 500, currency: 'eur', metadata: { order_id: '8' } };
  const body = { id: 'evt_again', type: 'payment_intent.succeeded', created: march, data: { object } };
  const deliveries = await Promise.all(
    Array.from({ length: 20 }, () => shop.ring('stripe', 'payment_intent.succeeded', body)),
  );
  t.equal(deliveries.filter(({ duplicate }) => !duplicate).length, 1);
  await shop.becomes(deliveries[0]!, 'PROCESSED');
  t.equal((await shop.ring('stripe', 'payment_intent.succeeded', body)).duplicate, true);
  t.equal((await bookings(intent)).length, 1);
});

t.test('a refund that comes before its payment waits for it and costs no failure', async (t) => {
  const intent = newIntent();
  await shop.becomes(await pending(intent, march), 'PROCESSED'); // awaiting funds is not paid yet
  const refund = await refunded(intent, 300, march + 4 * days);
  await shop.becomes(await paid(intent, 300, march + 3 * days), 'PROCESSED');
  const row = await shop.becomes(refund, 'PROCESSED');
  t.ok(row.deferrals > 0);
  t.equal(row.attempts, 1);
  t.match(await order(intent), { status: 'refunded', amount_refunded: '300' });
});

t.test('of two partial refunds the newer says it all, whichever comes last', async (t) => {
  const intent = newIntent();
  await shop.becomes(await paid(intent, 1_000, march), 'PROCESSED');
  await shop.becomes(await refunded(intent, 700, march + 2 * days), 'PROCESSED');
  await shop.becomes(await refunded(intent, 200, march + days), 'IGNORED');
  t.match(await order(intent), { status: 'paid', amount_refunded: '700' });
});

t.test('a refund that can never work is a dead letter at once', async (t) => {
  const intent = newIntent();
  await shop.becomes(await paid(intent, 1_000, march), 'PROCESSED');
  for (const refund of [
    await refunded(intent, 1_000, march + days, 'usd'),
    await refunded(intent, 1_001, march + days),
  ]) {
    t.match(await shop.becomes(refund, 'FAILED'), {
      attempts: 1,
      last_error: /^PermanentError: a refund of 100/,
    });
  }
  t.match(await order(intent), { status: 'paid', amount_refunded: '0' });
});

t.test('a payment without an order is a dead letter that names the missing field', async (t) => {
  const intent = newIntent();
  const object = { id: intent, amount_received: 1, currency: 'eur', metadata: {} };
  const rung = await ringStripe('payment_intent.succeeded', object, march);
  t.match(await shop.becomes(rung, 'FAILED'), { last_error: /data\.object\.metadata\.order_id/ });
  t.equal(await order(intent), undefined);
});
