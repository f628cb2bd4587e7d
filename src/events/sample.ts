// Figures about the inbox for metrics, at a bounded cost however large the tables are: no statement reads more events than
// its limit, and each ends after `statementMs`.
import type { Database, Queryable, QueryResult, Row, Statement } from '../database/database.ts';
import { heldJobs } from '../queue/paused-jobs.ts';
import { countOpenAlerts } from './alerts.ts';
import { readProcesses } from './processes.ts';
import { listStoredSources } from './stored-sources.ts';

export interface SampleLimits {
  /** Events of one status that are counted at most. */
  counted: number;
  /** The newest events, among which the last one of each source is looked for. */
  newest: number;
}

const usualLimits: SampleLimits = { counted: 100_000, newest: 20_000 };
const statementMs = 1_000;

export interface BacklogAge {
  source: string;
  events: number;
  /** Age of the oldest. */
  oldestSeconds: number;
  /** Age of the oldest that no handler has tried and no pause holds; null: there is none. */
  oldestUntriedSeconds: number | null;
}

export interface StatusCount {
  bySource: BacklogAge[];
  /** There are so many that only the oldest were counted: a source may be missing. */
  isCapped: boolean;
}

export interface InboxSample {
  /** Every source with an event or a tombstone. */
  sources: string[];
  pending: StatusCount;
  failed: StatusCount;
  /** In Unix seconds, by source; sources whose last event is not known are missing. */
  lastReceived: ReadonlyMap<string, number>;
  processes: { kind: string; alive: number }[];
  /** Open alerts by kind. */
  alerts: { kind: string; open: number }[];
}

/** The sample before is needed for sources that have received nothing since. @throws what Postgres says */
export async function readSample(
  database: Database,
  before?: InboxSample,
  { counted, newest }: SampleLimits = usualLimits,
): Promise<InboxSample> {
  const bounded = withBounds(database);
  return {
    sources: await listStoredSources(bounded),
    pending: await countOldest(bounded, 'PENDING', counted),
    failed: await countOldest(bounded, 'FAILED', counted),
    lastReceived: await readLastReceived(bounded, newest, before?.lastReceived),
    processes: await readProcesses(bounded),
    alerts: await countOpenAlerts(bounded),
  };
}

/** A transaction for each statement: a sample must not keep a connection from the deliveries. */
function withBounds(database: Database): Queryable {
  // Also a small table is read by its index: the plan is the one that is needed once the table is large.
  const settings = { statement_timeout: `${statementMs}ms`, enable_seqscan: 'off' };
  return {
    query: <R extends Row>(statement: string | Statement, values?: unknown[]): Promise<QueryResult<R>> =>
      database.transaction((tx) => tx.query<R>(statement, values), { settings, timeoutMs: 2 * statementMs }),
  };
}

async function countOldest(
  database: Queryable,
  status: 'PENDING' | 'FAILED',
  limit: number,
): Promise<StatusCount> {
  const { rows } = await database.query<BacklogAge & Record<string, unknown>>(`
    SELECT source, count(*)::int AS events, extract(epoch FROM now() - min(received_at))::float8 AS "oldestSeconds",
      extract(epoch FROM now() - min(received_at) FILTER (WHERE attempts = 0 AND deferrals = 0 AND held.id IS NULL))::float8
        AS "oldestUntriedSeconds"
    FROM (
      SELECT source, received_at, attempts, deferrals, job_id FROM {inbox}.webhook_events
      WHERE status = '${status}' ORDER BY received_at LIMIT ${limit}) oldest
    LEFT JOIN ${heldJobs} AS held ON held.id = oldest.job_id
    GROUP BY source`);
  return { bySource: rows, isCapped: rows.reduce((sum, { events }) => sum + events, 0) >= limit };
}

type Newest = { source: string; last: number; first: number; events: number };

/** A transaction may commit so long after its `now()`. */
const maxCommitSeconds = 10;

/**
 * Of a source that is not among the newest events, the time of the sample before still holds if these reach back to that
 * sample: then every later event is among them.
 */
async function readLastReceived(
  database: Queryable,
  limit: number,
  before: ReadonlyMap<string, number> = new Map(),
): Promise<Map<string, number>> {
  const { rows } = await database.query<Newest>(`
    SELECT source, extract(epoch FROM max(received_at))::float8 AS last,
      extract(epoch FROM min(received_at))::float8 AS first, count(*)::int AS events
    FROM (SELECT source, received_at FROM {inbox}.webhook_events ORDER BY received_at DESC LIMIT ${limit}) newest
    GROUP BY source`);
  const oldestSeen = Math.min(...rows.map(({ first }) => first));
  const reachesBack = oldestSeen < Math.max(...before.values()) - maxCommitSeconds;
  const lastReceived = new Map(reachesBack ? before : []);
  for (const { source, last } of rows) lastReceived.set(source, last);
  return lastReceived;
}
