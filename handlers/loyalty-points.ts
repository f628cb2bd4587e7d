// Every order gives its customer points. Adding is the write that must not happen twice, and it does not.
import { z } from 'zod';
import { defineHandler } from '../src/index.ts';

export default defineHandler({
  provider: 'shopify',
  topic: 'orders/create',
  payload: z.object({
    id: z.int(),
    currency: z.string(),
    total_price: z.string().regex(/^\d+(\.\d+)?$/),
    customer: z.object({ id: z.int() }).nullish(),
  }),
  // No entity: every order is an event of its own, and an older order must not be left out after a newer one.
  async handle({ payload, tx, log }) {
    const { id: orderId, customer, currency } = payload;
    if (!customer) return; // a guest has no account to credit
    const { rows } = await tx.query<{ points: number }>(
      `INSERT INTO example_shop.loyalty_points (order_id, customer_id, points)
       SELECT $1, $2, floor($3::numeric * points_per_unit) FROM example_shop.loyalty_rates WHERE currency = $4
       RETURNING points`,
      [orderId, customer.id, payload.total_price, currency],
    );
    const [given] = rows;
    if (!given) {
      // Not a PermanentError: somebody may add the rate in time. If not, the event is FAILED after five attempts
      // and waits to be replayed.
      throw new Error(
        `there is no loyalty rate for ${currency}: add it to example_shop.loyalty_rates, then replay the event`,
      );
    }
    // No guard against doubles: the event's PROCESSED is in the same commit.
    await tx.query(
      `INSERT INTO example_shop.customers (id, points) VALUES ($1, $2)
       ON CONFLICT (id) DO UPDATE SET points = customers.points + excluded.points`,
      [customer.id, given.points],
    );
    log.info({ orderId, points: given.points }, 'points given');
  },
});
