// Ends transactions whose connection died without a sign: they wait for an answer that cannot come any more.
import type pg from 'pg';
import { processIdOf } from './sessions.ts';

/** A transaction as its client sees it. */
export interface OpenTransaction {
  /** Of its session in Postgres. */
  processId: number;
  /** Statements sent and not answered. */
  unanswered: number;
  /** When the last answer came, or the first unanswered statement was sent; as performance.now(). */
  aliveAt: number;
  /** `aliveAt` when it was found dead for the first time: an answer may have been on its way just then. */
  suspectedAt?: number;
  end(): void;
}

const silenceMs = 5_000;

/**
 * Ends each transaction that has waited long for an answer although Postgres runs nothing for its session: a network
 * that lost the connection, a failover. Without this it would hold a slot and its locks until its time is up.
 * @returns how many were ended
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
 * Which of these sessions run a statement; undefined behind a pooler, where clients are told other ids than Postgres'
 * own.
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

/** Ends those that are idle in a transaction, so that their locks are free. */
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
