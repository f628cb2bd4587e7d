// What the overview shows, read part by part: a part that takes too long is left out, and named.
import { listActions, type OperatorAction } from '../events/operator-actions.ts';
import { type KindOfProcess, readProcesses } from '../events/processes.ts';
import {
  type Arrivals,
  countDeadLetters,
  countRejections,
  readArrivals,
  readBacklogs,
  type SourceBacklog,
} from '../events/source-states.ts';
import { orSlow } from './inbox.ts';
import type { PageDeps } from './plugin.ts';

/** One source; undefined where the database took too long to say. */
export interface SourceState {
  source: string;
  arrivals: Arrivals | undefined;
  backlog: SourceBacklog | undefined;
  dead: number;
  rejected: number;
  lastRejectedAt: Date | null;
}

export interface Overview {
  sources: SourceState[];
  processes: KindOfProcess[];
  openActions: OperatorAction[];
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
  const rejected = await noted('rejections', inbox.read(countRejections));
  const [processes, openActions] = await inbox.read(async (tx) => [
    await readProcesses(tx),
    await listActions(tx, { limit: 10, onlyOpen: true }),
  ]);
  const names = [
    ...sources.keys(),
    ...[arrivals, backlogs, dead, rejected].flatMap((rows) => (rows ?? []).map(({ source }) => source)),
  ];
  const of = <T extends { source: string }>(rows: readonly T[] | undefined, source: string) =>
    rows?.find((row) => row.source === source);
  const states = [...new Set(names)].sort().map(
    (source): SourceState => ({
      source,
      arrivals: of(arrivals, source),
      backlog: of(backlogs, source),
      dead: of(dead, source)?.count ?? 0,
      rejected: of(rejected, source)?.count ?? 0,
      lastRejectedAt: of(rejected, source)?.lastAt ?? null,
    }),
  );
  return { sources: states, processes, openActions, slow };
}
