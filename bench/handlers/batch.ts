// The same row per event, many events in one transaction.
import type { BatchContext, HandlerContext } from '../../src/handlers/handler.ts';
import oneByOne from './one-by-one.ts';
import type { Payment } from './payload.ts';

export default oneByOne.map((handler) => ({
  ...handler,
  handle: (context: HandlerContext<Payment>) => handler.handle(context),
  batch: async ({ items, tx }: BatchContext<Payment>) => {
    await tx.query('INSERT INTO effects (event_id, amount) SELECT * FROM unnest($1::text[], $2::bigint[])', [
      items.map(({ event }) => event.id),
      items.map(({ payload }) => payload.data.object.amount),
    ]);
  },
}));
