import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import type { PoolClient } from 'pg';
import { z } from 'zod';
import { defineHandler } from '../../../src/index.ts';

const orders = pgTable('orders', { id: text().primaryKey(), status: text().notNull() });
const payments = pgTable('payments', {
  id: text().primaryKey(),
  orderId: text('order_id'),
  amount: integer(),
});
const coupons = pgTable('coupons', { code: text().primaryKey() });

export default defineHandler({
  provider: 'stripe',
  topic: 'invoice.paid',
  payload: z.object({ order: z.string(), amount: z.int(), coupon: z.string() }),
  async handle({ event, payload, tx, log }) {
    const db = drizzle(tx as PoolClient);
    await db.insert(payments).values({ id: event.id, orderId: payload.order, amount: payload.amount });
    const [paid] = await db
      .select({ id: orders.id, paymentId: payments.id }) // two columns named id: rows come as lists
      .from(orders)
      .innerJoin(payments, eq(payments.orderId, orders.id))
      .where(eq(payments.id, event.id));
    log.info(paid, 'paid');
    try {
      // A savepoint: its rollback undoes the inner statements alone.
      await db.transaction(async (inner) => {
        await inner.update(orders).set({ status: 'coupon used' }).where(eq(orders.id, payload.order));
        await inner.insert(coupons).values({ code: payload.coupon });
      });
    } catch {
      await db.update(orders).set({ status: 'paid, without coupon' }).where(eq(orders.id, payload.order));
    }
  },
});
