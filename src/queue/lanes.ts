// The lanes of handlers with `concurrency`, as SQL: an active job with a group holds a lane of the handler with that name.
import type { Queryable } from '../database/database.ts';
import { tryLock } from '../database/try-lock.ts';
import { isolatedJobs, limitedJobs } from './boss.ts';
import type { FetchedJob } from './queue.ts';

/**
 * The right to count lanes and to take them, until the end of the transaction: two workers that count at once would take the
 * same lane. Never waits.
 * @returns false: another worker has the right
 */
export function tryLockLaneCounts(tx: Queryable): Promise<boolean> {
  return tryLock(tx, 'lanes');
}

/** @returns by the handler's name how many lanes jobs of these queues hold */
export async function countLanes(tx: Queryable, queues: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ lane: string; count: number }>({
    name: 'count_lanes',
    text: `SELECT group_id AS lane, count(*)::int AS count FROM {queue}.job
      WHERE name = ANY($1) AND state = 'active' AND group_id IS NOT NULL GROUP BY group_id`,
    values: [queues],
  });
  return new Map(rows.map(({ lane, count }) => [lane, count]));
}

/** pg-boss has no call for the group of an active job. */
export async function giveLane(tx: Queryable, jobId: string, name: string): Promise<void> {
  await tx.query({
    text: `UPDATE {queue}.job SET group_id = $3 WHERE name = $1 AND id = $2 AND state = 'active'`,
    values: [isolatedJobs, jobId, name],
  });
}

export async function freeLanes(queryable: Queryable, fetched: readonly FetchedJob[]): Promise<void> {
  await queryable.query({
    text: `UPDATE {queue}.job j SET group_id = NULL
      FROM unnest($2::uuid[], $3::int[]) AS f (id, retry_count)
      WHERE j.name = ANY($1) AND j.id = f.id AND j.retry_count = f.retry_count AND j.state = 'active'`,
    values: [
      [limitedJobs, isolatedJobs],
      fetched.map(({ id }) => id),
      fetched.map(({ retryCount }) => retryCount),
    ],
  });
}
