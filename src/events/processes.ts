// The processes of this inbox and their signs of life. All times are the database's.
import type { Queryable } from '../database/database.ts';

export type ProcessKind = 'web' | 'worker';

export interface ProcessIdentity {
  /** A UUID, made at the start of the process. */
  id: string;
  kind: ProcessKind;
  host: string;
  /** Postbell's. */
  version: string;
}

/** Pause between two signs of life of a process. */
export const signOfLifeMs = 20_000;
/** Limit of a statement: a process that stops must not wait longer for the database. */
const timeoutMs = 2_000;
/** A process without a sign of life for so long has missed two signs, and counts as dead. */
const aliveWithin = `interval '1 minute'`;
const keptFor = `interval '30 days'`;

/** @param outageMs length of a stretch that ends now, in which the process could not commit; default: none */
export async function recordSignOfLife(
  database: Queryable,
  { id, kind, host, version }: ProcessIdentity,
  outageMs: number | null = null,
): Promise<void> {
  await database.query({
    name: 'record_sign_of_life',
    text: `INSERT INTO {inbox}.postbell_processes AS p (process_id, kind, host, version) VALUES ($1, $2, $3, $4)
      ON CONFLICT (process_id) DO UPDATE SET seen_at = now(),
        outage_began_at = coalesce(now() - $5::float8 * interval '1 ms', p.outage_began_at),
        outage_ended_at = CASE WHEN $5::float8 IS NULL THEN p.outage_ended_at ELSE now() END`,
    values: [id, kind, host, version, outageMs],
    timeoutMs,
  });
}

/** The process ends because it was told to. */
export async function recordStop(database: Queryable, id: string): Promise<void> {
  await database.query({
    text: 'UPDATE {inbox}.postbell_processes SET seen_at = now(), stopped_at = now() WHERE process_id = $1',
    values: [id],
    timeoutMs,
  });
}

export async function deleteOldProcesses(database: Queryable): Promise<void> {
  await database.query(`DELETE FROM {inbox}.postbell_processes WHERE seen_at < now() - ${keptFor}`);
}

interface LastProcess {
  host: string;
  version: string;
  seenSecondsAgo: number;
  wasStopped: boolean;
}

export interface KindOfProcess {
  kind: ProcessKind;
  alive: number;
  /** The process with the newest sign of life; null if the table has no process of this kind. */
  last: LastProcess | null;
}

/** Of `web` and of `worker`, in this order. */
export async function readProcesses(database: Queryable): Promise<KindOfProcess[]> {
  const { rows } = await database.query<Omit<KindOfProcess, 'last'> & LastProcess & Record<string, unknown>>(`
    SELECT DISTINCT ON (kind) kind, host, version, stopped_at IS NOT NULL AS "wasStopped",
      extract(epoch FROM now() - seen_at)::float8 AS "seenSecondsAgo",
      count(*) FILTER (WHERE stopped_at IS NULL AND seen_at > now() - ${aliveWithin}) OVER (PARTITION BY kind)::int AS alive
    FROM {inbox}.postbell_processes ORDER BY kind, seen_at DESC`);
  return (['web', 'worker'] as const).map((kind) => {
    const row = rows.find((some) => some.kind === kind);
    if (!row) return { kind, alive: 0, last: null };
    const { alive, host, version, seenSecondsAgo, wasStopped } = row;
    return { kind, alive, last: { host, version, seenSecondsAgo, wasStopped } };
  });
}

/** An hour in which processes started. */
export interface HourOfStarts {
  hour: Date;
  kinds: ProcessKind[];
  versions: string[];
}

/** The starts of the last 24 hours, oldest first. */
export async function listStarts(database: Queryable): Promise<HourOfStarts[]> {
  const { rows } = await database.query<HourOfStarts & Record<string, unknown>>(`
    SELECT date_trunc('hour', started_at, 'UTC') AS hour, array_agg(DISTINCT kind ORDER BY kind) AS kinds,
      array_agg(DISTINCT version ORDER BY version) AS versions
    FROM {inbox}.postbell_processes WHERE started_at > now() - interval '24 hours' GROUP BY 1 ORDER BY 1`);
  return rows;
}

export async function countAlive(database: Queryable, kind: ProcessKind): Promise<number> {
  const processes = await readProcesses(database);
  return processes.find((some) => some.kind === kind)!.alive;
}

/** A stretch in which deliveries were not committed: a `web` that could not, or no `web` alive for over 2 minutes. */
export interface Outage {
  beganAt: Date;
  endedAt: Date;
}

/** The outages that have ended within the last 30 days, by their ends, newest first; at most 10. */
export async function listOutages(database: Queryable): Promise<Outage[]> {
  const { rows } = await database.query<Outage & Record<string, unknown>>(`
    SELECT "beganAt", "endedAt" FROM (
      SELECT outage_began_at AS "beganAt", outage_ended_at AS "endedAt"
      FROM {inbox}.postbell_processes WHERE kind = 'web' AND outage_ended_at IS NOT NULL
      UNION ALL
      SELECT max(seen_at) OVER (ORDER BY started_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), started_at
      FROM {inbox}.postbell_processes WHERE kind = 'web'
    ) AS gap
    WHERE "beganAt" IS NOT NULL AND ("endedAt" - "beganAt" > interval '2 minutes' OR "endedAt" IN (
      SELECT outage_ended_at FROM {inbox}.postbell_processes WHERE outage_ended_at IS NOT NULL))
    ORDER BY "endedAt" DESC LIMIT 10`);
  return rows;
}
