// What the alerts are judged by, read in one moment. Reads only; every list is bounded by an index or by the stored counts.
import type { Queryable, Transaction } from '../database/database.ts';
import { isCancelled } from '../errors.ts';
import { heldJobs } from '../queue/paused-jobs.ts';
import { timeOfUuidInSql } from '../queue/time-ordered-uuid.ts';
import { type KindOfProcess, readProcesses } from './processes.ts';
import { listRecoveries, type Recovery } from './recoveries.ts';
import { type RejectionCount, readRejections } from './rejection-counts.ts';

export interface Signals {
  /** By the database's clock, as all times here. */
  now: Date;
  deadLetters: Counted<AlertedDeadLetters>;
  late: Counted<LateSource>;
  arrivals: SourceHour[];
  /** The last deliveries of sources that have rejections and are pulled as well: their arrivals include pulled events. */
  deliveries: LastDelivery[];
  rejections: RejectionCount[];
  recoveries: Recovery[];
  processes: KindOfProcess[];
  limits: DatabaseLimits;
  refusals: QuarantineRefusals[];
  /** Their statements took too long. */
  unread: ReadonlySet<SlowSignal>;
}

/** The signals whose cost grows with the inbox. */
export type SlowSignal = 'deadLetters' | 'late' | 'arrivals' | 'deliveries' | 'limits';

export interface Counted<T> {
  groups: T[];
  /** There are more events than were counted: a group may be missing, and a count may be too low. */
  isCapped: boolean;
}

export interface LastDelivery {
  source: string;
  /** Null: none was found. */
  receivedAt: Date | null;
  /** Null: every event of the last days was looked at. Else earlier deliveries are not known. */
  searchedSince: Date | null;
}

export interface AlertedDeadLetters {
  source: string;
  topic: string;
  /** The name of the last error, e.g. TypeError. */
  errorClass: string;
  count: number;
}

/** Events that no worker has tried yet, although they could run for long and no pause holds them. */
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
  /** Sources whose last delivery is needed even without a rejection. */
  watched: ReadonlySet<string>;
  limits?: SignalLimits;
}

export interface SignalLimits {
  /** Events that a signal reads at most. */
  events: number;
  /** Limit of the statement of one signal. */
  statementMs: number;
}

const usualLimits: SignalLimits = { events: 100_000, statementMs: 4_000 };
const rejectionsOfDays = 3;

/** A signal whose statement takes too long is left out: the others are judged all the same. */
export async function readSignals(tx: Transaction, options: SignalOptions): Promise<Signals> {
  const { lateSeconds, historyDays, readsSize, watched, limits = usualLimits } = options;
  const unread = new Set<SlowSignal>();
  const attempt = async <T>(signal: SlowSignal, read: () => Promise<T>, otherwise: T): Promise<T> => {
    await tx.query('SAVEPOINT signal');
    await tx.query(`SET LOCAL statement_timeout = ${limits.statementMs}`);
    try {
      return await read();
    } catch (error) {
      if (!isCancelled(error)) throw error;
      unread.add(signal);
      return otherwise;
    } finally {
      await tx.query('ROLLBACK TO SAVEPOINT signal');
    }
  };
  const { rows } = await tx.query<{ now: Date }>('SELECT now()');
  const rejections = await readRejections(tx, rejectionsOfDays);
  const recoveries = await listRecoveries(tx);
  const rejecting = new Set([...watched, ...rejections.map(({ source }) => source)]);
  const pulled = recoveries.map(({ source }) => source).filter((source) => rejecting.has(source));
  return {
    now: rows[0]!.now,
    rejections,
    recoveries,
    deadLetters: await attempt('deadLetters', () => readDeadLetters(tx, limits.events), nothing),
    late: await attempt('late', () => readLate(tx, lateSeconds, limits.events), nothing),
    arrivals: await attempt('arrivals', () => readHourlyArrivals(tx, historyDays), []),
    deliveries: await attempt('deliveries', () => readLastDeliveries(tx, pulled, limits.events), []),
    limits: await attempt('limits', () => readLimits(tx, readsSize), { connections: 0, bytes: undefined }),
    processes: await readProcesses(tx),
    refusals: await readRefusals(tx),
    unread,
  };
}

const nothing = { groups: [], isCapped: false };

/** The newest: a new cause is seen however many dead letters there are. */
async function readDeadLetters(database: Queryable, limit: number): Promise<Counted<AlertedDeadLetters>> {
  const { rows } = await database.query<AlertedDeadLetters & Record<string, unknown>>(
    `SELECT source, topic, coalesce(substring(last_error FROM '^[A-Za-z_$][A-Za-z0-9_$]*(?=:)'), 'Error') AS "errorClass",
       count(*)::int AS count
     FROM (
       SELECT source, topic, last_error FROM {inbox}.webhook_events
       WHERE status = 'FAILED' ORDER BY received_at DESC LIMIT ${limit}) newest
     GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3`,
  );
  return counted(rows, limit);
}

/**
 * An event waits since it could first run: the time of its job, which is new after a replay, the end of a pause or a
 * promotion. An event without a job waits for the reconciler, for seconds: the alert has patience for that long.
 */
async function readLate(
  database: Queryable,
  lateSeconds: number,
  limit: number,
): Promise<Counted<LateSource>> {
  const { rows } = await database.query<LateSource & Record<string, unknown>>({
    text: `SELECT source, count(*)::int AS count, extract(epoch FROM now() - min(waits_since))::float8 AS "oldestSeconds"
      FROM (
        SELECT source, greatest(received_at, ${timeOfUuidInSql('job_id')}) AS waits_since FROM {inbox}.webhook_events e
        WHERE status = 'PENDING' AND attempts = 0 AND deferrals = 0
          AND received_at < now() - make_interval(secs => $1)
          AND greatest(received_at, ${timeOfUuidInSql('job_id')}) < now() - make_interval(secs => $1)
          AND NOT EXISTS (SELECT FROM ${heldJobs} AS held WHERE held.id = e.job_id)
        ORDER BY received_at LIMIT ${limit}) oldest
      GROUP BY source ORDER BY source`,
    values: [lateSeconds],
  });
  return counted(rows, limit);
}

function counted<T extends { count: number }>(groups: T[], limit: number): Counted<T> {
  return { groups, isCapped: groups.reduce((sum, { count }) => sum + count, 0) >= limit };
}

/**
 * The last delivery of each source that the provider sent, among the newest events. Where these do not reach back far enough,
 * a source may have had a delivery before the oldest of them: that time stands for it, but at least 15 minutes.
 */
async function readLastDeliveries(
  database: Queryable,
  sources: readonly string[],
  limit: number,
): Promise<LastDelivery[]> {
  if (sources.length === 0) return [];
  const { rows } = await database.query<LastDelivery & Record<string, unknown>>({
    text: `WITH newest AS MATERIALIZED (
        SELECT source, received_by, received_at FROM {inbox}.webhook_events
        WHERE received_at > now() - make_interval(days => $2) ORDER BY received_at DESC LIMIT ${limit}
      )
      SELECT asked.source,
        (SELECT max(received_at) FROM newest n WHERE n.source = asked.source AND received_by IN ('webhook', 'redelivery'))
          AS "receivedAt",
        (SELECT CASE WHEN count(*) >= ${limit} THEN least(min(received_at), now() - interval '15 minutes') END FROM newest)
          AS "searchedSince"
      FROM unnest($1::text[]) AS asked (source)`,
    values: [sources, rejectionsOfDays],
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
