// A bank transfer was announced: the order waits for its money, often for days (order-paid.ts is the end of it).
import { z } from 'zod';
import { defineHandler } from '../src/index.ts';

export default defineHandler({
  provider: 'stripe',
  topic: 'charge.pending',
  // Only what is used: a field that Stripe adds or drops elsewhere must not make a dead letter.
  payload: z.object({
    data: z.object({
      object: z.object({
        payment_intent: z.string(),
        currency: z.string(),
        metadata: z.object({ order_id: z.string() }),
      }),
    }),
  }),
  // Stripe promises no order. The payment intent is what this event and payment_intent.succeeded are both about: once
  // the payment was handled, this older event is IGNORED as stale, and the order never goes back.
  entity: ({ data }) => data.object.payment_intent,
  async handle({ event, payload, tx }) {
    const charge = payload.data.object;
    // Events of one second count as equally old and run in any order: hence DO NOTHING, an order that is there is paid.
    await tx.query(
      `INSERT INTO example_shop.orders (payment_intent, order_id, status, currency, awaiting_since)
       VALUES ($1, $2, 'awaiting funds', $3, $4) ON CONFLICT (payment_intent) DO NOTHING`,
      [charge.payment_intent, charge.metadata.order_id, charge.currency, event.occurredAt],
    );
  },
});
