// The jobs that wait for the end of a pause, as SQL. No worker fetches them: pg-boss sees jobs that are due and not taken.
import type { Queryable } from '../database/database.ts';
import { pausedJobs } from './boss.ts';
import type { PausedJob } from './queue.ts';

const conditions = `name = '${pausedJobs}' AND state < 'active'`;

/** SQL: a table of the paused jobs, with `id` and `pauses`, the ids of the pauses as a jsonb array. */
export const heldJobs = `(SELECT id, data->'pauses' AS pauses FROM {queue}.job WHERE ${conditions})`;

/** As `Queue.lockResumed`, with the job's data as it is. */
export async function lockResumed(
  tx: Queryable,
  pauseIds: readonly number[],
  after: Pick<PausedJob, 'id' | 'createdAt'> | undefined,
  limit: number,
): Promise<{ id: string; data: unknown; createdAt: string }[]> {
  const { rows } = await tx.query<{ id: string; data: unknown; createdAt: string }>({
    // As text: a JavaScript Date would cut the microseconds off and the next page would start too early.
    text: `SELECT id, data, created_on::text AS "createdAt" FROM {queue}.job
      WHERE ${conditions}
        AND NOT EXISTS (SELECT FROM unnest($1::int[]) AS pause WHERE data->'pauses' @> to_jsonb(pause))
        AND ($2::timestamptz IS NULL OR (created_on, id) > ($2, $3::uuid))
      ORDER BY created_on, id LIMIT $4 FOR UPDATE SKIP LOCKED`,
    values: [pauseIds, after?.createdAt ?? null, after?.id ?? null, limit],
  });
  return rows;
}
