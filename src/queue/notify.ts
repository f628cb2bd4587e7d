// Wakes idle workers. A lost notification costs at most POLL_SECONDS.
import type { Queryable } from '../database/database.ts';

/** The channel of all notifications, `{postbell}` filled in; the trigger on webhook_events sends `replay` on it, the trigger on pauses `pauses`. */
export const channel = '{postbell}';

/** The notification leaves with the COMMIT of `tx`. */
export async function wakeWorkersAtCommit(tx: Queryable): Promise<void> {
  await tx.query({ name: 'wake_workers', text: `SELECT pg_notify('{postbell}', 'jobs')` });
}

/** As the trigger does for a replay: events have no job. */
export async function wakeReconciler(database: Queryable): Promise<void> {
  await database.query(`SELECT pg_notify('{postbell}', 'replay')`);
}

/** Outside of a transaction. */
export async function wakeWorkers(database: Queryable): Promise<void> {
  await database.query({
    name: 'wake_workers_now',
    // A notification has a commit of its own, which would wait for the disk.
    text: `SELECT set_config('synchronous_commit', 'off', true), pg_notify('{postbell}', 'jobs')`,
  });
}

/** A rehearsal waits for a worker. The notification leaves with the COMMIT of `tx`. */
export async function wakeForRehearsal(tx: Queryable): Promise<void> {
  await tx.query(`SELECT pg_notify('{postbell}', 'rehearsals')`);
}
