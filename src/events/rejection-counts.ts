// Rejected requests counted by source, slot of 5 minutes and reason.
import type { Queryable } from '../database/database.ts';

export interface RejectionCount {
  source: string;
  /** Start of the slot. */
  slotAt: Date;
  reason: string;
  rejected: number;
  lastAt: Date;
}

export const rejectionSlotMs = 300_000;
/** Limit of a statement: a process that stops must not wait longer for the database. */
const timeoutMs = 4_000;

/** Adds the counts to the counts of all processes, in one statement. */
export async function addRejectionCounts(
  database: Queryable,
  counts: readonly RejectionCount[],
): Promise<void> {
  await database.query({
    name: 'add_rejection_counts',
    // Ordered: processes that add to the same rows at once must not wait for each other in a circle.
    text: `INSERT INTO {inbox}.rejection_counts AS stored (source, slot_at, reason, rejected, last_at)
      SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::int[], $5::timestamptz[]) ORDER BY 1, 2, 3
      ON CONFLICT (source, slot_at, reason) DO UPDATE SET
        rejected = stored.rejected + EXCLUDED.rejected, last_at = greatest(stored.last_at, EXCLUDED.last_at)`,
    values: [
      counts.map(({ source }) => source),
      counts.map(({ slotAt }) => slotAt),
      counts.map(({ reason }) => reason),
      counts.map(({ rejected }) => rejected),
      counts.map(({ lastAt }) => lastAt),
    ],
    timeoutMs,
  });
}

export type RejectedOfDay = Pick<RejectionCount, 'source' | 'rejected' | 'lastAt'>;

/** Rejected requests of the last 24 h, by source. @param reason only those; default: for any reason */
export async function countRejected(database: Queryable, reason?: string): Promise<RejectedOfDay[]> {
  const { rows } = await database.query<RejectedOfDay & Record<string, unknown>>({
    text: `SELECT source, sum(rejected)::int AS rejected, max(last_at) AS "lastAt" FROM {inbox}.rejection_counts
     WHERE slot_at > now() - interval '24 hours' AND ($1::text IS NULL OR reason = $1) GROUP BY source ORDER BY source`,
    values: [reason ?? null],
  });
  return rows;
}

/** Oldest slot first. */
export async function readRejections(database: Queryable, days: number): Promise<RejectionCount[]> {
  const { rows } = await database.query<RejectionCount & Record<string, unknown>>({
    text: `SELECT source, slot_at AS "slotAt", reason, rejected, last_at AS "lastAt"
      FROM {inbox}.rejection_counts WHERE slot_at > now() - make_interval(days => $1) ORDER BY slot_at, source, reason`,
    values: [days],
  });
  return rows;
}

export interface AcceptedState {
  /** In the last 24 h, a delivery that the provider sent: not a pulled event, not a promoted request. */
  isAccepted: boolean;
  /** Events have arrived in the last 28 days, in whatever way. */
  isKnown: boolean;
}

/** Stops at the newest such delivery; where there is none it reads the events of 24 h. */
export async function readAccepted(database: Queryable, source: string): Promise<AcceptedState> {
  const { rows } = await database.query<AcceptedState & Record<string, unknown>>({
    text: `SELECT EXISTS (
        SELECT FROM {inbox}.webhook_events WHERE source = $1 AND received_at > now() - interval '24 hours'
          AND received_by IN ('webhook', 'redelivery')) AS "isAccepted",
      EXISTS (SELECT FROM {inbox}.webhook_hours WHERE source = $1 AND hour > now() - interval '28 days') AS "isKnown"`,
    values: [source],
  });
  return rows[0]!;
}
