// `postbell status`: what each source has received and what became of it, sources that need a look, and the processes.
import { countOpenAlerts } from '../events/alerts.ts';
import { describePause } from '../events/pause-texts.ts';
import { countWaiting, type PauseInForce } from '../events/pauses.ts';
import { describeProcesses } from '../events/process-texts.ts';
import { type KindOfProcess, readProcesses } from '../events/processes.ts';
import { type QuarantineState, readQuarantine } from '../events/quarantine.ts';
import { listRecoveries, type Recovery } from '../events/recoveries.ts';
import { countRejected, type RejectedOfDay } from '../events/rejection-counts.ts';
import { readSourceStates, type SourceFigures } from '../events/source-states.ts';
import { printable } from '../printable.ts';
import type { Source } from '../providers/index.ts';
import { parseSources } from '../providers/sources.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import {
  bytesText,
  countText,
  durationText,
  printJson,
  printLine,
  printTable,
  timeText,
} from '../terminal/print.ts';
import { latencyText } from '../texts.ts';

/** A source that is on, or only pulled, and has received nothing for 7 days. */
interface SilentSource {
  source: string;
  /** null: never, or more than 400 days ago. */
  lastReceivedAt: Date | null;
}

const silentAfterMs = 7 * 86_400_000;

export async function runStatus(io: CommandIo, options: CommonOptions): Promise<number> {
  const { sources: active, waiting } = parseSources(io.env);
  const pulled = [...waiting].filter(([, { isOnlyPulled }]) => isOnlyPulled).map(([name]) => name);
  const { sources, withoutSecret, pauses, alerts, processes, recoveries, quarantine } = await withDatabase(
    io.env,
    'status',
    async ({ database }) => ({
      // First, because it needs no transaction: its error names the cause where the database cannot be reached.
      processes: await readProcesses(database),
      withoutSecret: await countRejected(database, 'no_secret'),
      sources: await readSourceStates(database),
      pauses: await countWaiting(database),
      alerts: await countOpenAlerts(database),
      recoveries: await listRecoveries(database),
      quarantine: await readQuarantine(database),
    }),
  );
  const silent = findSilent([...active.keys(), ...pulled], sources);
  const off = withoutSecret.filter(({ source }) => !active.has(source));
  if (options.json) {
    printJson(io.out, {
      sources,
      processes,
      pauses,
      alerts,
      recoveries,
      quarantine,
      silentSources: silent,
      sourcesWithoutSecret: off,
    });
    return 0;
  }
  if (sources.length === 0) printLine(io.out, 'no event yet');
  else printSources(io, sources);
  printNotes(io, { sources, silent, off, alerts });
  printPauses(io, pauses);
  printProcesses(io, processes);
  printRecoveries(io, recoveries);
  for (const state of quarantine) printQuarantine(io, state, active.get(state.source));
  return 0;
}

function findSilent(active: readonly string[], sources: readonly SourceFigures[]): SilentSource[] {
  return active
    .map((source) => ({
      source,
      lastReceivedAt: sources.find((state) => state.source === source)?.lastReceivedAt ?? null,
    }))
    .filter(({ lastReceivedAt: at }) => at === null || Date.now() - at.getTime() > silentAfterMs);
}

function printSources({ out }: CommandIo, sources: readonly SourceFigures[]): void {
  printTable(out, sources, [
    { title: 'SOURCE', value: (row) => row.source },
    { title: 'PENDING', value: (row) => String(row.pending), isNumber: true },
    { title: 'PROCESSED', value: (row) => String(row.processed), isNumber: true },
    { title: 'FAILED', value: (row) => String(row.failed), isNumber: true },
    { title: 'IGNORED', value: (row) => String(row.ignored), isNumber: true },
    { title: 'OLDEST PENDING', value: (row) => agoText(row.oldestPendingAt), isNumber: true },
    { title: 'LAST RECEIVED', value: (row) => agoText(row.lastReceivedAt), isNumber: true },
    { title: 'LAST 24 H', value: changeText, isNumber: true },
    {
      title: 'P99 TO DONE',
      value: ({ latencyP99Seconds }) => latencyText(latencyP99Seconds),
      isNumber: true,
    },
  ]);
}

function agoText(time: Date | null): string {
  return time ? durationText(Math.max(0, Date.now() - time.getTime()) / 1_000) : '-';
}

/** `1,204 (+12 %)`: against the 24 h before. */
function changeText({ last24Hours, previous24Hours }: SourceFigures): string {
  const count = last24Hours.toLocaleString('en-US');
  if (previous24Hours === 0) return count;
  const percent = Math.round((last24Hours / previous24Hours - 1) * 100);
  return `${count} (${percent > 0 ? '+' : ''}${percent.toLocaleString('en-US')} %)`;
}

interface Notes {
  sources: readonly SourceFigures[];
  silent: readonly SilentSource[];
  off: readonly RejectedOfDay[];
  alerts: Awaited<ReturnType<typeof countOpenAlerts>>;
}

function printNotes({ out }: CommandIo, { sources, silent, off, alerts }: Notes): void {
  const sum = (key: 'failed' | 'newlyFailed') => sources.reduce((total, row) => total + row[key], 0);
  const listOf = (items: readonly string[]) => items.join(', ');
  const notes: string[] = [];
  if (alerts.length > 0)
    notes.push(
      `open alerts: ${listOf(alerts.map(({ kind, open }) => `${kind} (${open})`))}; postbell alerts shows them`,
    );
  if (sum('failed') > 0)
    notes.push(
      `since yesterday: ${countText(sum('newlyFailed'), 'new dead letter')}; the causes of all: postbell events --status FAILED`,
    );
  if (silent.length > 0)
    notes.push(
      `nothing received for 7 days: ${listOf(silent.map(({ source, lastReceivedAt: at }) => `${source} (${at ? agoText(at) : 'never'})`))}`,
    );
  if (off.length > 0)
    notes.push(
      `asked in the last 24 h, but without a secret: ${listOf(off.map(({ source, rejected }) => `${source} (${countText(rejected, 'request')})`))}; the remedy: postbell doctor`,
    );
  if (notes.length > 0) printLine(out, `\n${notes.join('\n')}`);
}

function printPauses({ out }: CommandIo, pauses: readonly PauseInForce[]): void {
  if (pauses.length > 0) printLine(out, '');
  for (const pause of pauses) printLine(out, `paused: ${printable(describePause(pause))}`);
}

function printProcesses({ out }: CommandIo, processes: readonly KindOfProcess[]): void {
  printLine(out, '');
  for (const kind of processes) printLine(out, `${kind.kind}: ${describeProcesses(kind)}`);
}

function printRecoveries({ out }: CommandIo, recoveries: readonly Recovery[]): void {
  for (const recovery of recoveries) {
    const { source, startedAt, endedAt, lastError, failingSince, recovered, known, givenUp } = recovery;
    const counts = `recovered ${recovered.toLocaleString('en-US')}, already there ${known.toLocaleString('en-US')}`;
    const since = failingSince ? ` since ${timeText(failingSince)}` : '';
    const end = lastError === null ? '' : `; failed${since}: ${printable(lastError)}`;
    const lost = givenUp > 0 ? `; given up ${givenUp.toLocaleString('en-US')}, which never arrived` : '';
    printLine(out, `recover ${source}: ${timeText(endedAt ?? startedAt)}, ${counts}${lost}${end}`);
  }
}

function printQuarantine({ out }: CommandIo, state: QuarantineState, source: Source | undefined): void {
  const { requests, refused, oldestAt } = state;
  const oldest = oldestAt ? `, the oldest ${agoText(oldestAt)} ago` : '';
  const noRoom = refused > 0 ? `, ${refused.toLocaleString('en-US')} not kept for want of room` : '';
  printLine(
    out,
    `quarantine ${state.source}: ${countText(requests, 'request')}, ${bytesText(state, source)}${oldest}${noRoom}; postbell quarantine`,
  );
}
