// What the alerts are judged by, read in one moment. Reads only; every list is bounded by an index or by the stored counts.
import type { Queryable } from '../database/database.ts';
import { heldJobs } from '../queue/paused-jobs.ts';
import { type KindOfProcess, readProcesses } from './processes.ts';
import { listRecoveries, type Recovery } from './recoveries.ts';
import type { RejectionCount } from './rejection-counts.ts';

export interface Signals {
  /** By the database's clock, as all times here. */
  now: Date;
  deadLetters: AlertedDeadLetters[];
  late: LateSource[];
  arrivals: SourceHour[];
  rejections: RejectionCount[];
  recoveries: Recovery[];
  processes: KindOfProcess[];
  limits: DatabaseLimits;
  refusals: QuarantineRefusals[];
}

export interface AlertedDeadLetters {
  source: string;
  topic: string;
  /** The name of the last error, e.g. TypeError. */
  errorClass: string;
  count: number;
}

/** Events that no worker has tried yet, although they came long ago and no pause holds them. */
export interface LateSource {
  source: string;
  count: number;
  oldestSeconds: number;
}

export interface SourceHour {
  source: string;
  hour: Date;
  received: number;
  activeMinutes: bigint;
  lastReceivedAt: Date;
}

/** Rejected requests for which a quarantine had no room. */
export interface QuarantineRefusals {
  source: string;
  refused: number;
  reason: string;
  lastAt: Date;
}

export interface DatabaseLimits {
  /** Client connections to this database. */
  connections: number;
  /** Undefined: not asked for. */
  bytes: number | undefined;
}

export interface SignalOptions {
  /** Events that were not tried for so long are late. */
  lateSeconds: number;
  historyDays: number;
  /** Looks at every file of the database. */
  readsSize: boolean;
}

const rejectionsOfDays = 3;

export async function readSignals(database: Queryable, options: SignalOptions): Promise<Signals> {
  const { rows } = await database.query<{ now: Date }>('SELECT now()');
  return {
    now: rows[0]!.now,
    deadLetters: await readDeadLetters(database),
    late: await readLate(database, options.lateSeconds),
    arrivals: await readHourlyArrivals(database, options.historyDays),
    rejections: await readRejections(database),
    recoveries: await listRecoveries(database),
    processes: await readProcesses(database),
    limits: await readLimits(database, options.readsSize),
    refusals: await readRefusals(database),
  };
}

async function readDeadLetters(database: Queryable): Promise<AlertedDeadLetters[]> {
  const { rows } = await database.query<AlertedDeadLetters & Record<string, unknown>>(
    `SELECT source, topic, coalesce(substring(last_error FROM '^[A-Za-z_$][A-Za-z0-9_$]*(?=:)'), 'Error') AS "errorClass",
       count(*)::int AS count
     FROM {inbox}.webhook_events WHERE status = 'FAILED' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3`,
  );
  return rows;
}

async function readLate(database: Queryable, lateSeconds: number): Promise<LateSource[]> {
  const { rows } = await database.query<LateSource & Record<string, unknown>>({
    text: `SELECT source, count(*)::int AS count, extract(epoch FROM now() - min(received_at))::float8 AS "oldestSeconds"
      FROM {inbox}.webhook_events e
      WHERE status = 'PENDING' AND attempts = 0 AND deferrals = 0
        AND received_at < now() - make_interval(secs => $1)
        AND NOT EXISTS (SELECT FROM ${heldJobs} AS held WHERE held.id = e.job_id)
      GROUP BY source ORDER BY source`,
    values: [lateSeconds],
  });
  return rows;
}

/** Oldest hour first. */
export async function readHourlyArrivals(database: Queryable, days: number): Promise<SourceHour[]> {
  type Row = Omit<SourceHour, 'activeMinutes'> & { activeMinutes: string };
  const { rows } = await database.query<Row & Record<string, unknown>>({
    text: `SELECT source, hour, sum(received)::int AS received, bit_or(active_minutes)::text AS "activeMinutes",
        max(last_received_at) AS "lastReceivedAt"
      FROM {inbox}.webhook_hours WHERE hour > now() - make_interval(days => $1)
      GROUP BY source, hour ORDER BY hour, source`,
    values: [days],
  });
  return rows.map((row) => ({ ...row, activeMinutes: BigInt(row.activeMinutes) }));
}

async function readRejections(database: Queryable): Promise<RejectionCount[]> {
  const { rows } = await database.query<RejectionCount & Record<string, unknown>>({
    text: `SELECT source, slot_at AS "slotAt", reason, rejected, last_at AS "lastAt"
      FROM {inbox}.rejection_counts WHERE slot_at > now() - make_interval(days => $1) ORDER BY slot_at, source, reason`,
    values: [rejectionsOfDays],
  });
  return rows;
}

async function readRefusals(database: Queryable): Promise<QuarantineRefusals[]> {
  const { rows } = await database.query<QuarantineRefusals & Record<string, unknown>>(
    `SELECT source, refused, reason, last_at AS "lastAt" FROM {inbox}.quarantine_refusals ORDER BY source`,
  );
  return rows;
}

async function readLimits(database: Queryable, readsSize: boolean): Promise<DatabaseLimits> {
  const { rows } = await database.query<{ connections: number; bytes: number | null }>({
    // pg_stat_database shows every role the sessions of all roles.
    text: `SELECT (SELECT sum(numbackends) FROM pg_stat_database)::int AS connections,
       CASE WHEN $1::boolean THEN pg_database_size(current_database())::float8 END AS bytes`,
    values: [readsSize],
  });
  const { connections, bytes } = rows[0]!;
  return { connections, bytes: bytes ?? undefined };
}
