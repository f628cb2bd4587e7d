// The queue's name and the connection, for BullMQ's web, worker and filling alike.
import { Redis } from 'ioredis';

export const queueName = 'webhooks';

export function connectRedis(url: string): Redis {
  return new Redis(url, { maxRetriesPerRequest: null });
}
