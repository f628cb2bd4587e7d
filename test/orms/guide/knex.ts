import knex from 'knex';
import { z } from 'zod';
import { defineHandler } from '../../../src/index.ts';

// Without a connection of its own. asyncStackTraces: only with it a failure names the handler's line.
const db = knex({ client: 'pg', asyncStackTraces: true });

export default defineHandler({
  provider: 'stripe',
  topic: 'invoice.paid',
  payload: z.object({ order: z.string(), amount: z.int(), coupon: z.string() }),
  async handle({ event, payload, tx, log }) {
    await db('payments')
      .connection(tx)
      .insert({ id: event.id, order_id: payload.order, amount: payload.amount });
    const paid = await db('orders')
      .connection(tx)
      .join('payments', 'payments.order_id', 'orders.id')
      .where('payments.id', event.id)
      .first('orders.id', 'payments.id as paymentId');
    log.info(paid, 'paid');
    try {
      // A savepoint: its rollback undoes the inner statements alone.
      await db.transaction(
        async (inner) => {
          await inner('orders').where({ id: payload.order }).update({ status: 'coupon used' });
          await inner('coupons').insert({ code: payload.coupon });
        },
        { connection: tx },
      );
    } catch {
      await db('orders')
        .connection(tx)
        .where({ id: payload.order })
        .update({ status: 'paid, without coupon' });
    }
  },
});
