// Ends transactions whose connection was lost without an error: their answer will never come.
import type pg from 'pg';
import { processIdOf } from './sessions.ts';

/** The client's view of a transaction. */
export interface OpenTransaction {
  /** Process id of its session in Postgres. */
  processId: number;
  /** Number of statements that are sent and not answered. */
  unanswered: number;
  /** Time of the last answer, or of sending the first unanswered statement; by performance.now(). */
  aliveAt: number;
  /** `aliveAt` at the first finding. The second finding ends it: an answer may have been on its way at the first. */
  suspectedAt?: number;
  end(): void;
}

const silenceMs = 5_000;

/**
 * Ends each transaction that has waited long for an answer while Postgres runs no statement for its session, e.g. after a
 * network failure or a failover. Otherwise it would hold a slot and its locks until its time-out.
 * @returns the number of ended transactions
 */
export async function endDeadTransactions(
  open: Iterable<OpenTransaction>,
  pool: pg.Pool,
  applicationName: string,
): Promise<number> {
  const silent = [...open].filter(
    ({ unanswered, aliveAt }) => unanswered > 0 && performance.now() - aliveAt > silenceMs,
  );
  if (silent.length === 0) return 0;
  const asOf = new Map(silent.map((transaction) => [transaction, transaction.aliveAt]));
  const busy = await readBusy(
    pool,
    silent.map(({ processId }) => processId),
  );
  if (!busy) return 0;
  const ended: number[] = [];
  for (const [transaction, aliveAt] of asOf) {
    if (busy.has(transaction.processId) || transaction.aliveAt !== aliveAt) continue;
    if (transaction.suspectedAt === aliveAt) {
      transaction.end();
      ended.push(transaction.processId);
    }
    transaction.suspectedAt = aliveAt;
  }
  if (ended.length) await terminate(pool, ended, applicationName);
  return ended.length;
}

/**
 * The sessions that run a statement now; undefined behind a pooler, which gives clients other ids than Postgres'.
 */
async function readBusy(
  pool: pg.Pool,
  processIds: readonly number[],
): Promise<ReadonlySet<number> | undefined> {
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ own: number; busy: number[] }>(
      `SELECT pg_backend_pid() AS own, ARRAY(SELECT pid FROM pg_stat_activity
         WHERE pid = ANY ($1) AND (state IS NULL OR state NOT LIKE 'idle%')) AS busy`,
      [processIds],
    );
    client.release();
    const { own, busy } = rows[0]!;
    return own === processIdOf(client) ? new Set(busy) : undefined;
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

/** Terminates the sessions that are idle in a transaction, so that their locks are released. */
async function terminate(
  pool: pg.Pool,
  processIds: readonly number[],
  applicationName: string,
): Promise<void> {
  await pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE pid = ANY ($1) AND state LIKE 'idle in transaction%' AND application_name = $2`,
    [processIds, applicationName],
  );
}
