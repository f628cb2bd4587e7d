// A lock that one session of the cluster holds for a long time, on a connection of its own.
import type pg from 'pg';
import { ConnectionLostError, type HeldLock } from './database.ts';

const checkTimeoutMs = 5_000;

/**
 * A transaction stays open and holds the lock, so that the lock is also held behind a transaction pooler. The transaction
 * reads no table between its statements: it keeps no old rows alive.
 */
export async function withHeldLock<T>(
  client: pg.Client,
  name: string,
  work: (lock: HeldLock) => Promise<T>,
): Promise<{ result: T } | undefined> {
  const lost = new AbortController();
  const lose = (cause?: unknown) => lost.abort(new ConnectionLostError(cause));
  client.on('error', lose);
  client.on('end', () => lose());
  try {
    await client.connect().catch((error) => {
      throw new ConnectionLostError(error);
    });
    await client.query('BEGIN');
    await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    const { rows } = await client.query<{ isHeld: boolean }>(
      'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS "isHeld"',
      [name],
    );
    if (!rows[0]?.isHeld) return undefined;
    const check = async () => {
      lost.signal.throwIfAborted();
      await client
        .query({ text: 'SELECT 1', query_timeout: checkTimeoutMs } as pg.QueryConfig)
        .catch((error) => {
          lose(error);
          throw lost.signal.reason;
        });
    };
    return { result: await work({ signal: lost.signal, check }) };
  } finally {
    await client.end().catch(() => {}); // the connection was lost already
  }
}
