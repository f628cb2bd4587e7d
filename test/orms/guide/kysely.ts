import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import { z } from 'zod';
import { defineHandler, type HandlerTransaction } from '../../../src/index.ts';

interface Tables {
  orders: { id: string; status: string };
  payments: { id: string; order_id: string; amount: number };
  coupons: { code: string };
}

/** A pool of one connection, which is the transaction. */
function kyselyOn(tx: HandlerTransaction): Kysely<Tables> {
  const pool = { connect: async () => tx as unknown as PostgresPoolClient, end: async () => {}, options: {} };
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

export default defineHandler({
  provider: 'stripe',
  topic: 'invoice.paid',
  payload: z.object({ order: z.string(), amount: z.int(), coupon: z.string() }),
  async handle({ event, payload, tx, log }) {
    const db = kyselyOn(tx);
    await db
      .insertInto('payments')
      .values({ id: event.id, order_id: payload.order, amount: payload.amount })
      .execute();
    const paid = await db
      .selectFrom('orders')
      .innerJoin('payments', 'payments.order_id', 'orders.id')
      .select(['orders.id', 'payments.id as paymentId'])
      .where('payments.id', '=', event.id)
      .executeTakeFirst();
    log.info(paid, 'paid');
    try {
      // A savepoint: its rollback undoes the inner statements alone.
      await db.transaction().execute(async (inner) => {
        await inner
          .updateTable('orders')
          .set({ status: 'coupon used' })
          .where('id', '=', payload.order)
          .execute();
        await inner.insertInto('coupons').values({ code: payload.coupon }).execute();
      });
    } catch {
      const status = 'paid, without coupon';
      await db.updateTable('orders').set({ status }).where('id', '=', payload.order).execute();
    }
  },
});
