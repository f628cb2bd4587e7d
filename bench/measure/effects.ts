// What the handlers wrote, as Postgres tells it: how many rows, and when by its own clock.
import type { Run } from '../systems/system.ts';

export interface Effects {
  count: number;
  nowMs: number;
  firstMs: number;
  lastMs: number;
}

export async function readEffects(run: Run): Promise<Effects> {
  const [row] = await run.cluster.within(run.database, (query) =>
    query<Effects>(`
      SELECT count(*)::int AS count, extract(epoch FROM clock_timestamp())::float8 * 1000 AS "nowMs",
        extract(epoch FROM min(at))::float8 * 1000 AS "firstMs",
        extract(epoch FROM max(at))::float8 * 1000 AS "lastMs" FROM effects`),
  );
  return row!;
}

export async function clearEffects(run: Run): Promise<void> {
  await run.cluster.within(run.database, (query) => query('TRUNCATE effects'));
}
