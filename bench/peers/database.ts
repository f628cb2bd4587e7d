// The pool of a peer's process, and a transaction as one writes it with plain pg.
import pg from 'pg';

export function openPool(max = Number(process.env.POOL_SIZE ?? 20)): pg.Pool {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max });
  pool.on('error', (error) => process.stderr.write(`${error.message}\n`));
  return pool;
}

export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

/** Prepared: the peers get the best that pg offers without pipelining. */
export const insertWebhook = (eventId: string, topic: string, payload: string) => ({
  name: 'insert_webhook',
  text: `INSERT INTO webhooks (event_id, topic, payload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1`,
  values: [eventId, topic, payload],
});

export const insertEffect = (eventId: string, amount: number) => ({
  name: 'insert_effect',
  text: 'INSERT INTO effects (event_id, amount) VALUES ($1, $2) ON CONFLICT DO NOTHING',
  values: [eventId, amount],
});
