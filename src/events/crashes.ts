// Which event ended its process? What was lost with a process runs alone, behind a start mark, until that is known.
import type { Queryable, Transaction } from '../database/database.ts';
import type { ClaimedJob, EventKey, Suspicion } from '../queue/queue.ts';

/** A job whose attempts are to be compared with what they left behind. */
export interface ExaminedJob {
  id: string;
  key: EventKey;
  /** Attempts that are over, as pg-boss counted them. */
  ended: number;
  /** Carried over from the job before. */
  suspicion: Suspicion | undefined;
}

/**
 * What is held against each job's event: attempts that pg-boss counted and that left no failure behind were lost with
 * their process. Events without any are left out.
 */
export async function readSuspicions(
  database: Queryable,
  jobs: readonly ExaminedJob[],
): Promise<Map<string, Suspicion>> {
  const suspicions = new Map<string, Suspicion>();
  if (jobs.length === 0) return suspicions;
  const { rows } = await database.query<{ id: string; recorded: number; starts: number }>({
    text: `
      SELECT j.id, coalesce(m.starts, 0) AS starts, (SELECT count(*)::int FROM failed_attempts f
        WHERE f.source = j.source AND f.event_id = j.event_id AND f.job_id = j.id) AS recorded
      FROM unnest($1::uuid[], $2::text[], $3::text[]) AS j (id, source, event_id)
      LEFT JOIN lone_attempts m ON m.source = j.source AND m.event_id = j.event_id AND m.job_id = j.id`,
    values: [jobs.map(({ id }) => id), jobs.map(({ key }) => key.source), jobs.map(({ key }) => key.eventId)],
  });
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const { id, ended, suspicion } of jobs) {
    const { recorded = 0, starts = 0 } = found.get(id) ?? {};
    const lost = Math.max(0, ended - recorded);
    if (lost === 0 && !suspicion) continue;
    const alone = Math.min(lost, starts);
    suspicions.set(id, {
      inCompany: (suspicion?.inCompany ?? 0) + lost - alone,
      alone: (suspicion?.alone ?? 0) + alone,
    });
  }
  return suspicions;
}

/** The attempts that were lost beside others are given back, unless one was lost alone, too. */
export function givenBack({ inCompany, alone }: Suspicion): number {
  return alone > 0 ? 0 : inCompany;
}

/** Written before the handler begins: if its process ends now, nothing else was the cause. */
export async function markLoneStart(database: Queryable, job: Pick<ClaimedJob, 'id' | 'key'>): Promise<void> {
  await database.query({
    text: `
      INSERT INTO lone_attempts AS mark (source, event_id, job_id, starts) VALUES ($1, $2, $3, 1)
      ON CONFLICT (source, event_id) DO UPDATE SET job_id = excluded.job_id, started_at = now(),
        starts = CASE WHEN mark.job_id = excluded.job_id THEN mark.starts + 1 ELSE 1 END`,
    values: [job.key.source, job.key.eventId, job.id],
  });
}

const clearing = (key: EventKey) => ({
  text: 'DELETE FROM lone_attempts WHERE source = $1 AND event_id = $2',
  values: [key.source, key.eventId],
});

/** With COMMIT: it ended well, so nothing is held against it any more. */
export function clearLoneStartsAtCommit(tx: Transaction, key: EventKey): void {
  tx.atCommit(clearing(key));
}

export async function clearLoneStarts(tx: Queryable, key: EventKey): Promise<void> {
  await tx.query(clearing(key));
}

/** Takes the last start back: it has ended by itself. Those before it stay proof; a row without any is none. */
export async function endLoneStart(database: Queryable, job: Pick<ClaimedJob, 'id' | 'key'>): Promise<void> {
  await database.query({
    text: `WITH ended AS (
        DELETE FROM lone_attempts WHERE source = $1 AND event_id = $2 AND job_id = $3 AND starts <= 1
      )
      UPDATE lone_attempts SET starts = starts - 1
      WHERE source = $1 AND event_id = $2 AND job_id = $3 AND starts > 1`,
    values: [job.key.source, job.key.eventId, job.id],
  });
}
