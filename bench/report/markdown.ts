// results.md: the tables, what they were measured on, and what to make of them.
import type { System } from '../systems/system.ts';
import type { Results } from './results.ts';
import {
  type AcceptSummary,
  type ProcessSummary,
  summariseAccept,
  summariseBurst,
  summariseProcess,
} from './summary.ts';

const integer = (value: number) => Math.round(value).toLocaleString('en-US');
const whole = (value: number | undefined) => (value === undefined ? '' : integer(value));
const ms = (value: number) => (value < 10 ? value.toFixed(1) : integer(value));
const ratio = (value: number) => (Number.isFinite(value) ? `${value.toFixed(2)} ×` : '');
const percent = (value: number) => `${value >= 0 ? '+' : ''}${(value * 100).toFixed(0)} %`;

type VariantRate = Pick<ProcessSummary, 'system' | 'variant' | 'perSecond'>;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}

export function markdown(results: Results, systems: readonly System[]): string {
  const parts = [
    '# Results',
    results.isQuick ? '**A quick run: it shows that the program works; its figures mean nothing.**' : '',
    'Written by `npm run bench`; how it measures is in [README.md](README.md), every single run in [results.json](results.json).',
    machineSection(results),
    acceptSection(results, systems),
    processSection(results, systems),
    latencySection(results, systems),
    floodSection(results, systems),
    growthSection(results, systems),
    footprintSection(results, systems),
    floorSection(results),
    burstSection(results, systems),
    results.notes.length ? `## Notes\n\n${results.notes.map((note) => `- ${note}`).join('\n')}` : '',
  ];
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function machineSection({ machine, rounds, seconds, minutes, generator }: Results): string {
  if (!machine) return '';
  const list = (entries: Record<string, string>) =>
    Object.entries(entries)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ');
  return [
    `${machine.date} UTC, commit ${machine.commit}. ${machine.cores} cores (${machine.cpu}) that ran everything at once: the system, ` +
      `Postgres or Redis, and the load generator. ${machine.memoryGb} GB, ${machine.kernel}, one 8 KB write and fdatasync ${machine.syncMs.toFixed(2)} ms. ` +
      `${list(machine.versions)}. Settings: ${list(machine.postgresSettings)}; else the defaults. ` +
      `Median of ${rounds} interleaved rounds of ${seconds} s; ${minutes.toFixed(0)} minutes in all.`,
    generator
      ? `Load generator: ${generator.name}; against a server that only counts bytes it reached ${integer(generator.requestsPerSecond)}/s.`
      : '',
  ].join('\n\n');
}

function acceptSection(results: Results, systems: readonly System[]): string {
  const summary = summariseAccept(results, systems);
  if (summary.length === 0) return '';
  const connections = [...new Set(summary.map((row) => row.connections))];
  const of = (system: string, count: number) =>
    summary.find((row) => row.system === system && row.connections === count);
  const cell = (row: AcceptSummary | undefined) => (row ? `${integer(row.perSecond)}` : '');
  const named = systems.filter(({ name }) => summary.some((row) => row.system === name));
  const rates = table(
    [
      'accepted/s at',
      ...connections.map((count) => `${count} connections`),
      ...connections.map((count) => `Postbell ÷ it, ${count}`),
    ],
    named.map(({ name, title }) => [
      title,
      ...connections.map((count) => cell(of(name, count))),
      ...connections.map((count) => {
        const [ours, theirs] = [of('postbell', count), of(name, count)];
        return name === 'postbell' || !ours || !theirs ? '' : ratio(ours.perSecond / theirs.perSecond);
      }),
    ]),
  );
  const waits = table(
    [
      '',
      'connections',
      'p50 ms',
      'p99 ms',
      'lowest – highest round',
      'CPU µs per event: web',
      'Postgres + Redis',
      'RSS MB after',
    ],
    summary.map((row) => [
      row.title,
      String(row.connections),
      ms(row.p50Ms),
      ms(row.p99Ms),
      `${integer(row.lowest)} – ${integer(row.highest)}`,
      whole(row.webCpuUs),
      whole(row.storeCpuUs),
      whole(row.rssMb),
    ]),
  );
  const problems = summary
    .filter((row) => row.lost || row.notAccepted)
    .map(
      (row) =>
        `- ${row.title}, ${row.connections} connections: ${row.lost} answered and not stored, ${row.notAccepted} not accepted`,
    );
  const verdict = problems.length
    ? `Not all went well:\n\n${problems.join('\n')}`
    : 'Every event that was answered 2xx was found in its table or queue afterwards (Postbell: with its job); none was refused.';
  return `## Accepted a second\n\n${rates}\n\n${waits}\n\n${verdict}`;
}

/** How Postbell's two ways compare with a row that is not its own. */
function oursOver(row: VariantRate, summary: readonly VariantRate[]): string[] {
  return ['one-by-one', 'batch'].map((variant) => {
    const ours = summary.find((each) => each.system === 'postbell' && each.variant === variant);
    return row.system === 'postbell' || !ours ? '' : ratio(ours.perSecond / row.perSecond);
  });
}

function processSection(results: Results, systems: readonly System[]): string {
  const summary = summariseProcess(results, systems);
  if (summary.length === 0) return '';
  const rows = summary.map((row) => [
    row.title,
    integer(row.perSecond),
    ...oursOver(row, summary),
    `${integer(row.lowest)} – ${integer(row.highest)}`,
    whole(row.workerCpuUs),
    whole(row.storeCpuUs),
    whole(row.rssMb),
  ]);
  const head = [
    'processed/s, each event one row',
    '',
    'Postbell one by one ÷ it',
    'Postbell batch ÷ it',
    'lowest – highest round',
    'CPU µs per event: worker',
    'Postgres + Redis',
    'RSS MB after',
  ];
  return `## Processed a second\n\n${table(head, rows)}`;
}

function latencySection({ latency }: Results, systems: readonly System[]): string {
  if (latency.length === 0) return '';
  const rows = latency.map((row) => [
    titleOf(systems, row.system),
    ms(row.ackP50Ms),
    ms(row.ackP99Ms),
    ms(row.committedP50Ms),
    ms(row.committedP99Ms),
    integer(row.sent),
    integer(row.missing),
  ]);
  const head = [
    'at 200/s, in ms',
    'answered p50',
    'p99',
    "handler's row committed p50",
    'p99',
    'sent',
    'missing',
  ];
  return `## From the request to the handler's commit\n\n${table(head, rows)}`;
}

function floodSection({ flood }: Results, systems: readonly System[]): string {
  if (flood.length === 0) return '';
  const rows = flood.map((row) => [
    titleOf(systems, row.system),
    integer(row.refusedPerSecond),
    `${row.statements} for ${integer(row.refused)}`,
    String(row.idleStatements),
    `${ms(row.validP50Ms)} / ${ms(row.validP99Ms)}`,
    String(row.validUnanswered),
    String(row.acceptedForgeries),
  ]);
  const head = [
    '',
    'refused/s',
    'SQL statements for forgeries',
    'statements when idle as long',
    'valid beside it p50 / p99 ms',
    'valid without 2xx',
    'forgeries accepted',
  ];
  const texts = Object.entries(flood.find((row) => row.system === 'postbell')?.statementTexts ?? {});
  const list = texts.map(([text, calls]) => `- ${calls} × \`${text.replaceAll('`', "'")}\``).join('\n');
  const why = texts.length
    ? `Postbell's statements during the flood (a sample of the rejections, at most one row a second, whatever the flood's rate):\n\n${list}`
    : '';
  return `## A flood of forgeries\n\n${table(head, rows)}\n\n${why}`;
}

function growthSection({ growth }: Results, systems: readonly System[]): string {
  if (growth.length === 0) return '';
  const empty = growth.filter((row) => row.tables === 'empty');
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variants = systems.find(({ name }) => name === 'postbell')?.workers ?? [];
  const rateOf = (row: (typeof growth)[number], variant: string) =>
    row.process.find((run) => run.variant === variant)?.processedPerSecond ?? Number.NaN;
  const accepting = mean(empty.map((row) => row.accept.acceptedPerSecond));
  const rows = growth.map((row) => [
    row.tables === 'empty'
      ? 'empty'
      : `${integer(row.events)} ${row.tables === 'pending' ? 'PENDING' : 'finished'}`,
    integer(row.accept.acceptedPerSecond),
    percent(row.accept.acceptedPerSecond / accepting - 1),
    ...variants.flatMap(({ name }) => {
      const rate = rateOf(row, name);
      return [integer(rate), percent(rate / mean(empty.map((each) => rateOf(each, name))) - 1)];
    }),
  ]);
  const head = [
    'events in the tables',
    `accepted/s at ${growth[0]!.accept.connections} connections`,
    'against empty',
    ...variants.flatMap(({ name }) => [`processed/s, ${name}`, 'against empty']),
  ];
  return `## Full tables\n\n${table(head, rows)}\n\nThe empty tables come first and last: how far they lie apart is the machine's own noise.`;
}

function footprintSection({ footprint }: Results, systems: readonly System[]): string {
  if (footprint.length === 0) return '';
  const rows = footprint.map((row) => [
    `${titleOf(systems, row.system)}: ${row.process}`,
    row.process === 'web' ? integer(row.listeningMs) : '',
    integer(row.readyMs),
    whole(row.rssMb),
  ]);
  return `## Start and memory\n\n${table(['', 'listening after ms', 'ready after ms', 'RSS MB at the start'], rows)}`;
}

function floorSection({ floor }: Results): string {
  if (floor.length === 0) return '';
  const rows = floor.map(({ name, rowsPerSecond }) => [name, integer(rowsPerSecond)]);
  return `## The floor: the same rows without HTTP\n\n${table(['', 'events/s'], rows)}`;
}

function burstSection(results: Results, systems: readonly System[]): string {
  const summary = summariseBurst(results, systems);
  if (summary.length === 0) return '';
  const rows = summary.map((row) => [
    row.title,
    integer(row.perSecond),
    ...oursOver(row, summary),
    `${integer(row.lowest)} – ${integer(row.highest)}`,
    integer(row.acceptedPerSecond),
    `${ms(row.ackP50Ms)} / ${ms(row.ackP99Ms)}`,
    [row.webCpuUs, row.workerCpuUs, row.storeCpuUs].map(whole).join(' + '),
    integer(row.missing),
  ]);
  const head = [
    'web and worker at once',
    'handled/s, from the first request to the last row',
    'Postbell one by one ÷ it',
    'Postbell batch ÷ it',
    'lowest – highest round',
    'accepted/s meanwhile',
    'answered p50 / p99 ms',
    'CPU µs per event: web + worker + Postgres and Redis',
    'never handled',
  ];
  return `## A burst, accepted and processed at once\n\n${table(head, rows)}`;
}

function titleOf(systems: readonly System[], name: string): string {
  return systems.find((system) => system.name === name)?.title ?? name;
}
