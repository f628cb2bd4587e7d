// The number of database connections of a worker: its pool, and the sum that doctor compares with the server's limit.
import type { Config } from '../config.ts';
import type { RecoverSchedule } from './settings.ts';

/**
 * In addition to one connection per handler: fetching jobs, completing them and heartbeats must work while all handlers
 * are busy. Only one, so that during a deploy old and new processes fit into the 20 connections of a small database.
 */
const spareConnections = 1;

/** Sources that a worker recovers at the same time. */
export const maxRecoversAtOnce = 2;

type Recovers = RecoverSchedule['sources'];

/**
 * Size of a worker's pool.
 * @param recovers sources that it recovers
 */
export function workerPoolSize(config: Pick<Config, 'WORKER_CONCURRENCY'>, recovers: Recovers): number {
  // A search for states may hold a connection for longer than HEARTBEAT_SECONDS. Other queries of a recovery are short.
  const searches = recovers.filter(({ spec }) => spec.pull?.made).length;
  return config.WORKER_CONCURRENCY + spareConnections + Math.min(maxRecoversAtOnce, searches);
}

/**
 * Connections that one worker opens at most: its pool, one that listens where there is no pooler, one for the lock of each
 * recovery that runs. A rehearsal has its own for as long as it runs.
 */
export function connectionsOfWorker(
  config: Pick<Config, 'WORKER_CONCURRENCY' | 'DATABASE_POOLER'>,
  recovers: Recovers,
): number {
  const locks = Math.min(maxRecoversAtOnce, recovers.length);
  return workerPoolSize(config, recovers) + (config.DATABASE_POOLER ? 0 : 1) + locks;
}
