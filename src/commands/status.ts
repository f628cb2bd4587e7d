// `postbell status`: counts the events of each source by status, and prints the age of the oldest PENDING event, and the processes.

import type { EventStatus } from '../events/event.ts';
import { type KindOfProcess, readProcesses } from '../events/processes.ts';
import { countByStatus, type StatusCount } from '../events/queries.ts';
import { listRecoveries, type Recovery } from '../events/recoveries.ts';
import { printable } from '../printable.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { durationText, printJson, printLine, printTable, timeText } from '../terminal/print.ts';
import { describeProcesses } from '../terminal/processes.ts';

interface SourceStatus {
  source: string;
  pending: number;
  processed: number;
  failed: number;
  ignored: number;
  /** When the oldest PENDING event came in. */
  oldestPendingAt: Date | null;
}

const keys = {
  PENDING: 'pending',
  PROCESSED: 'processed',
  FAILED: 'failed',
  IGNORED: 'ignored',
} as const satisfies Record<EventStatus, keyof SourceStatus>;

export async function runStatus(io: CommandIo, options: CommonOptions): Promise<number> {
  // One after another: a third statement would wait for one of the command's two connections, and give up after 2 s.
  const { counts, processes, recoveries } = await withDatabase(io.env, 'status', async ({ database }) => ({
    counts: await countByStatus(database),
    processes: await readProcesses(database),
    recoveries: await listRecoveries(database),
  }));
  const sources = bySource(counts);
  if (options.json) printJson(io.out, { sources, processes, recoveries });
  else {
    if (sources.length === 0) printLine(io.out, 'no event yet');
    else printStatus(io, sources);
    printProcesses(io, processes);
    printRecoveries(io, recoveries);
  }
  return 0;
}

function bySource(counts: readonly StatusCount[]): SourceStatus[] {
  const sources = new Map<string, SourceStatus>();
  for (const { source, status, count, oldestReceivedAt } of counts) {
    const row = sources.get(source) ?? {
      source,
      pending: 0,
      processed: 0,
      failed: 0,
      ignored: 0,
      oldestPendingAt: null,
    };
    sources.set(source, row);
    row[keys[status]] = count;
    if (status === 'PENDING') row.oldestPendingAt = oldestReceivedAt;
  }
  return [...sources.values()];
}

function printStatus({ out }: CommandIo, sources: readonly SourceStatus[]): void {
  const now = Date.now();
  printTable(out, sources, [
    { title: 'SOURCE', value: (row) => row.source },
    { title: 'PENDING', value: (row) => String(row.pending), isNumber: true },
    { title: 'PROCESSED', value: (row) => String(row.processed), isNumber: true },
    { title: 'FAILED', value: (row) => String(row.failed), isNumber: true },
    { title: 'IGNORED', value: (row) => String(row.ignored), isNumber: true },
    {
      title: 'OLDEST PENDING',
      value: ({ oldestPendingAt: at }) => (at ? durationText((now - at.getTime()) / 1_000) : '-'),
      isNumber: true,
    },
  ]);
  const failed = sources.reduce((sum, row) => sum + row.failed, 0);
  if (failed > 0) printLine(out, '\nthe causes of the failures: postbell events --status FAILED');
}

function printProcesses({ out }: CommandIo, processes: readonly KindOfProcess[]): void {
  printLine(out, '');
  for (const kind of processes) printLine(out, `${kind.kind}: ${describeProcesses(kind)}`);
}

function printRecoveries({ out }: CommandIo, recoveries: readonly Recovery[]): void {
  for (const { source, startedAt, endedAt, lastError, recovered, known } of recoveries) {
    const counts = `recovered ${recovered.toLocaleString('en-US')}, already there ${known.toLocaleString('en-US')}`;
    const end = lastError === null ? '' : `; failed: ${printable(lastError)}`;
    printLine(out, `recover ${source}: ${timeText(endedAt ?? startedAt)}, ${counts}${end}`);
  }
}
