// A transaction each: insert, and add_job if the event was new.
import { insertWebhook, inTransaction, openPool } from './database.ts';
import { serve } from './serve.ts';

const pool = openPool();
await serve((event, body) =>
  inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(insertWebhook(event.id, event.type, body.toString()));
    if (rowCount === 0) return;
    await client.query({
      name: 'add_job',
      text: `SELECT graphile_worker.add_job('webhook', json_build_object('id', $1::text, 'amount', $2::bigint))`,
      values: [event.id, event.data.object.amount],
    });
  }),
);
