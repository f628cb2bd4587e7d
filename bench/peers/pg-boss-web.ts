// Plain pg-boss: a transaction each, insert and send.
import { PgBoss } from 'pg-boss';
import { insertWebhook, inTransaction, openPool } from './database.ts';
import { serve } from './serve.ts';

const pool = openPool();
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL!, supervise: false, schedule: false });
boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
await boss.start();
await serve((event, body) =>
  inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(insertWebhook(event.id, event.type, body.toString()));
    if (rowCount === 0) return;
    const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) };
    await boss.send('webhooks', { id: event.id, amount: event.data.object.amount }, { db });
  }),
);
