// The pair that teams pick: answered as soon as Redis has the job in memory.
import { Queue } from 'bullmq';
import { connectRedis, queueName } from './redis.ts';
import { serve } from './serve.ts';

const queue = new Queue(queueName, {
  connection: connectRedis(process.env.REDIS_URL!),
  defaultJobOptions: { attempts: 5, backoff: { type: 'exponential', delay: 60_000 }, removeOnComplete: true },
});
// The whole event travels in the job: it is kept nowhere else.
await serve((event) => queue.add(event.type, event, { jobId: event.id }));
