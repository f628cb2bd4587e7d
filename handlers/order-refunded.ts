// Money went back: shows an event that came too early (Later) and one that can never work (PermanentError).
import { z } from 'zod';
import { defineHandler, Later, PermanentError } from '../src/index.ts';

export default defineHandler({
  provider: 'stripe',
  topic: 'charge.refunded',
  payload: z.object({
    data: z.object({
      object: z.object({
        payment_intent: z.string(),
        amount_refunded: z.int().nonnegative(),
        currency: z.string(),
      }),
    }),
  }),
  // amount_refunded is the sum of all refunds so far: of two partial refunds, the newer one says it all.
  entity: ({ data }) => data.object.payment_intent,
  async handle({ payload, tx }) {
    const refund = payload.data.object;
    const { rows } = await tx.query<{ status: string; is_possible: boolean }>(
      `SELECT status, currency = $2 AND amount_paid >= $3 AS is_possible FROM example_shop.orders WHERE payment_intent = $1`,
      [refund.payment_intent, refund.currency, refund.amount_refunded],
    );
    const [order] = rows;
    if (!order || order.status === 'awaiting funds') {
      // Its payment is on the way. Coming back costs no failure, up to MAX_DEFERRALS.
      throw new Later({ afterSeconds: 5, reason: `the order of ${refund.payment_intent} is not paid yet` });
    }
    if (!order.is_possible) {
      // No retry could mend it: a dead letter at once, for somebody to look at.
      throw new PermanentError(
        `a refund of ${refund.amount_refunded} ${refund.currency} is more than was paid`,
      );
    }
    await tx.query(
      `UPDATE example_shop.orders SET amount_refunded = $2,
         status = CASE WHEN amount_paid = $2 THEN 'refunded' ELSE 'paid' END
       WHERE payment_intent = $1`,
      [refund.payment_intent, refund.amount_refunded],
    );
  },
});
