// The locks that let one process of several do a piece of work.
import type { Queryable } from './database.ts';

/**
 * Takes the advisory lock with this name until the end of the transaction. Never waits.
 * @returns false: another session holds the lock
 */
export async function tryLock(tx: Queryable, name: string): Promise<boolean> {
  const { rows } = await tx.query<{ isTaken: boolean }>({
    name: 'try_lock',
    text: `SELECT pg_try_advisory_xact_lock(hashtextextended('{postbell} ' || $1::text, 0)) AS "isTaken"`,
    values: [name],
  });
  return rows[0]!.isTaken;
}
