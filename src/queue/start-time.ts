// When the queue gives a waiting job to a worker, as SQL for the statements on events.
import { isolatedJobs, jobs, limitedJobs } from './boss.ts';

/**
 * SQL: the time from which on workers may fetch the job, in the past where they may already; NULL where a worker has the
 * job, or there is no such job. One look-up by the primary key.
 * @param jobId an SQL expression
 */
export const startOfWaitingJob = (jobId: string): string =>
  `(SELECT waiting.start_after FROM {queue}.job waiting
    WHERE waiting.name IN ('${jobs}', '${isolatedJobs}', '${limitedJobs}') AND waiting.id = ${jobId} AND waiting.state < 'active')`;
