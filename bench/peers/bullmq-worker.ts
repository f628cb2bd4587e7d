// BullMQ's worker, each job one insert into Postgres.
import { Worker } from 'bullmq';
import { insertEffect, openPool } from './database.ts';
import { ready } from './ready.ts';
import { connectRedis, queueName } from './redis.ts';
import type { StripeEvent } from './stripe.ts';

const concurrency = Number(process.env.CONCURRENCY);
const pool = openPool(Number(process.env.POOL_SIZE));
const worker = new Worker<StripeEvent>(
  queueName,
  async ({ data }) => {
    await pool.query(insertEffect(data.id, data.data.object.amount));
  },
  { connection: connectRedis(process.env.REDIS_URL!), concurrency },
);
worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
await worker.waitUntilReady();
ready(() => worker.close());
