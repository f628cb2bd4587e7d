// What the overview shows, read part by part: a part that takes too long is left out, and named.
import { type AlertRow, listOpenAlerts } from '../events/alerts.ts';
import { listActions, type OperatorAction } from '../events/operator-actions.ts';
import { countWaiting, type PauseInForce } from '../events/pauses.ts';
import { type HourOfStarts, type KindOfProcess, listStarts, readProcesses } from '../events/processes.ts';
import { listRecoveries, type Recovery } from '../events/recoveries.ts';
import { countRejected, type RejectedOfDay } from '../events/rejection-counts.ts';
import {
  type Arrivals,
  countDeadLetters,
  readArrivals,
  readBacklogs,
  type SourceBacklog,
} from '../events/source-overview.ts';
import { orSlow } from './inbox.ts';
import type { PageDeps } from './page-deps.ts';

/** One source. A part is undefined where the database took too long to say it: unknown is not none. */
export interface SourceState {
  source: string;
  arrivals: Omit<Arrivals, 'source'> | undefined;
  backlog: Omit<SourceBacklog, 'source'> | undefined;
  dead: number | undefined;
  /** Of the last 24 hours. */
  rejected: Omit<RejectedOfDay, 'source'> | { rejected: 0; lastAt: null } | undefined;
}

const nothing = {
  arrivals: { lastReceivedAt: null, hours: [], p50Seconds: null, p99Seconds: null },
  backlog: { pending: 0, retrying: 0, deferred: 0, oldestReceivedAt: null, oldestUntriedAt: null },
  dead: { count: 0 },
  rejected: { rejected: 0, lastAt: null } as const,
};

export interface Overview {
  sources: SourceState[];
  processes: KindOfProcess[];
  /** Of the last 24 hours: most often a deploy. */
  starts: HourOfStarts[];
  openActions: OperatorAction[];
  /** Open ones, in the order in which they were raised. */
  alerts: AlertRow[];
  pauses: PauseInForce[];
  recoveries: Recovery[];
  /** The parts that took too long. */
  slow: string[];
}

export async function readOverview({ inbox, sources }: PageDeps): Promise<Overview> {
  const slow: string[] = [];
  const noted = async <T>(what: string, result: Promise<T>): Promise<T | undefined> => {
    const found = await orSlow(result);
    if (found === undefined) slow.push(what);
    return found;
  };
  // One after another: another person's page gets the second connection.
  const arrivals = await noted('arrivals', inbox.read(readArrivals));
  const backlogs = await noted('waiting events', inbox.read(readBacklogs));
  const dead = await noted('dead letters', inbox.read(countDeadLetters));
  const rejected = await noted(
    'rejections',
    inbox.read((tx) => countRejected(tx)),
  );
  const [processes, starts, openActions] = await inbox.read(async (tx) => [
    await readProcesses(tx),
    await listStarts(tx),
    await listActions(tx, { limit: 10, onlyOpen: true }),
  ]);
  const alerts = (await noted('alerts', inbox.read(listOpenAlerts))) ?? [];
  const pauses = (await noted('pauses', inbox.read(countWaiting))) ?? [];
  const recoveries = (await noted('recoveries', inbox.read(listRecoveries))) ?? [];
  const names = [
    ...sources.keys(),
    ...[arrivals, backlogs, dead, rejected].flatMap((rows) => (rows ?? []).map(({ source }) => source)),
  ];
  const of = <T, N>(rows: readonly (T & { source: string })[] | undefined, source: string, none: N) =>
    rows && (rows.find((row) => row.source === source) ?? none);
  const states = [...new Set(names)].sort().map(
    (source): SourceState => ({
      source,
      arrivals: of(arrivals, source, nothing.arrivals),
      backlog: of(backlogs, source, nothing.backlog),
      dead: of(dead, source, nothing.dead)?.count,
      rejected: of(rejected, source, nothing.rejected),
    }),
  );
  return { sources: states, processes, starts, openActions, alerts, pauses, recoveries, slow };
}
