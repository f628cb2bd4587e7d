// The number of database connections of a worker: its pool, and the sum that doctor compares with the server's limit.
import type { Config } from '../config.ts';

/**
 * In addition to one connection per handler: fetching jobs, completing them and heartbeats must work while all handlers
 * are busy. Only one, so that during a deploy old and new processes fit into the 20 connections of a small database.
 */
const spareConnections = 1;

/** Size of a worker's pool. */
export function workerPoolSize(config: Pick<Config, 'WORKER_CONCURRENCY'>): number {
  return config.WORKER_CONCURRENCY + spareConnections;
}

/**
 * Connections that one worker opens at most: its pool, one that listens where there is no pooler, one for the lock of each recovery. A rehearsal has its own for as long as it runs.
 * @param recoveredSources number of the sources with an API key
 */
export function connectionsOfWorker(
  config: Pick<Config, 'WORKER_CONCURRENCY' | 'DATABASE_POOLER' | 'RECOVER_MINUTES'>,
  recoveredSources: number,
): number {
  const locks = config.RECOVER_MINUTES > 0 ? recoveredSources : 0;
  return workerPoolSize(config) + (config.DATABASE_POOLER ? 0 : 1) + locks;
}
