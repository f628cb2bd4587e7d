// A handler that writes one row, each event in a transaction of its own.
import type { HandlerContext } from '../../src/handlers/handler.ts';
import type { Payment } from './payload.ts';

export default [
  {
    provider: 'stripe',
    topic: 'payment_intent.*',
    handle: async ({ event, payload, tx }: HandlerContext<Payment>) => {
      await tx.query('INSERT INTO effects (event_id, amount) VALUES ($1, $2)', [
        event.id,
        payload.data.object.amount,
      ]);
    },
  },
];
