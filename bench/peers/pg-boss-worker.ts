// Plain pg-boss with batches: the jobs of a batch side by side, completed together when all are done.
import { PgBoss } from 'pg-boss';
import { insertEffect, openPool } from './database.ts';
import { ready } from './ready.ts';

const pool = openPool(Number(process.env.CONCURRENCY));
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL!, schedule: false });
boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
await boss.start();
await boss.work<{ id: string; amount: number }>(
  'webhooks',
  { batchSize: 200, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, localConcurrency: 2 },
  (jobs) => Promise.all(jobs.map(({ data }) => pool.query(insertEffect(data.id, data.amount)))),
);
ready(() => boss.stop());
