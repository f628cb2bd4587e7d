// A payment arrived: the order is paid, at once by card, days after charge.pending by bank transfer.
import { z } from 'zod';
import { defineHandler } from '../src/index.ts';

export default defineHandler({
  provider: 'stripe',
  topic: 'payment_intent.succeeded',
  payload: z.object({
    data: z.object({
      object: z.object({
        id: z.string(),
        amount_received: z.int(),
        currency: z.string(),
        metadata: z.object({ order_id: z.string() }),
      }),
    }),
  }),
  entity: ({ data }) => data.object.id, // see order-awaiting-funds.ts
  async handle({ event, payload, tx, log }) {
    const payment = payload.data.object;
    const orderId = payment.metadata.order_id;
    // Card payments have no charge.pending before them, and a transfer's may come after: so the order may be new.
    await tx.query(
      `INSERT INTO example_shop.orders (payment_intent, order_id, status, currency, amount_paid, paid_at)
       VALUES ($1, $2, 'paid', $3, $4, $5)
       ON CONFLICT (payment_intent) DO UPDATE
       SET status = 'paid', amount_paid = excluded.amount_paid, paid_at = excluded.paid_at`,
      [payment.id, orderId, payment.currency, payment.amount_received, event.occurredAt ?? event.receivedAt],
    );
    // In the same commit as the order and the event's PROCESSED: booked once, or not at all.
    await tx.query(
      'INSERT INTO example_shop.payments (payment_intent, amount, currency) VALUES ($1, $2, $3)',
      [payment.id, payment.amount_received, payment.currency],
    );
    log.info({ orderId }, 'order paid');
  },
});
