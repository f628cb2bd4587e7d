// BullMQ on Redis: the pair that teams pick.
import { signedEvent } from '../load/requests.ts';
import { makeTables, web, workerOf } from './peer.ts';
import type { Run, System } from './system.ts';

const perInsert = 1_000;

async function withQueue<T>(run: Run, work: (queue: import('bullmq').Queue) => Promise<T>): Promise<T> {
  const { Queue } = await import('bullmq');
  const { connectRedis, queueName } = await import('../peers/redis.ts');
  const connection = connectRedis(run.redisUrl!);
  const queue = new Queue(queueName, { connection });
  try {
    return await work(queue);
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

export const bullmq: System = {
  name: 'bullmq',
  title: 'Fastify + BullMQ on Redis (appendfsync everysec)',
  needsRedis: true,
  needsPackages: true,
  prepare: makeTables, // for what its worker writes
  web: web('bullmq'),
  stored: (run) => withQueue(run, (queue) => queue.getWaitingCount()),
  workers: [
    workerOf('bullmq', 'plain', 'BullMQ, 50 at a time', 15_000, { CONCURRENCY: '50', POOL_SIZE: '20' }),
  ],
  fill: (run, count) =>
    withQueue(run, async (queue) => {
      const sample = JSON.parse(signedEvent().body.toString());
      for (let from = 0; from < count; from += perInsert) {
        const jobs = Array.from({ length: Math.min(perInsert, count - from) }, (_, index) => {
          const id = `evt_${String(from + index).padStart(24, '0')}`;
          return { name: sample.type, data: { ...sample, id }, opts: { jobId: id, removeOnComplete: true } };
        });
        await queue.addBulk(jobs);
      }
    }),
};
