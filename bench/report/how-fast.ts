// The README's table of speed, made from results.json alone. `node bench/report/how-fast.ts` writes it, and so does
// `npm run bench` at its end; test/readme.test.ts checks that it is current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median, type Results } from './results.ts';

const readme = new URL('../../README.md', import.meta.url);
export const resultsFile: string = fileURLToPath(new URL('../results.json', import.meta.url));
const region = /(<!-- how-fast -->\n)[\s\S]*?(<!-- \/how-fast -->)/;
const connections = 256;

const integer = (value: number) => Math.round(value).toLocaleString('en-US');
const times = (ours: number, theirs: number) => {
  // A peer that could not be run here, e.g. without Redis.
  if (!Number.isFinite(theirs)) return 'not measured';
  return `${(ours / theirs).toFixed(ours / theirs < 10 ? 1 : 0)} ×`;
};
const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** The text between the markers; empty where nothing was measured yet. */
export function howFast(): string {
  if (!existsSync(resultsFile)) return '';
  const results = JSON.parse(readFileSync(resultsFile, 'utf8')) as Results;
  const rows = [accepting, processing, bursting, calm, flooded].flatMap((rowsOf) => rowsOf(results));
  return [
    '## How fast',
    '',
    '![Accepted and processed a second, beside what teams pick instead](bench/results.svg)',
    '',
    machine(results),
    '',
    '| measured | Postbell | Postbell ÷ BullMQ on Redis | Postbell ÷ graphile-worker |',
    '|---|---:|---:|---:|',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    'BullMQ answers before the event is on the disk. Its receiver is Fastify, too.',
    '[All figures](bench/results.md) · [how they are measured](bench/README.md)',
    '',
  ].join('\n');
}

function machine({ machine, rounds, seconds }: Results): string {
  const { cores, versions } = machine!;
  return (
    `One machine of ${cores} cores ran everything: the load, the system, and Postgres ${versions.Postgres} (with fsync) or Redis. ` +
    `Medians of ${rounds} rounds of ${seconds} s.`
  );
}

/** Each row: the measure, Postbell's figure, and its ratio to BullMQ's and to graphile-worker's. */
type TableRow = readonly [measured: string, postbell: string, bullmq: string, graphile: string];

function accepting({ accept }: Results): TableRow[] {
  const rate = (system: string) =>
    median(
      accept
        .filter((run) => run.system === system && run.connections === connections)
        .map((run) => run.acceptedPerSecond),
    );
  const postbell = rate('postbell');
  return [
    [
      `events accepted, each committed with its job, ${connections} connections`,
      `${integer(postbell)}/s`,
      times(postbell, rate('bullmq')),
      times(postbell, rate('graphile-worker')),
    ],
  ];
}

function processing({ process }: Results): TableRow[] {
  return bothWays(
    'events processed, one row written for each',
    mediansOf(process, (run) => run.processedPerSecond),
  );
}

function bursting({ burst }: Results): TableRow[] {
  return bothWays(
    'a burst: accepted and processed at once',
    mediansOf(burst, (run) => run.handledPerSecond),
  );
}

function bothWays(
  measured: string,
  { single, batch, bull, graphile }: ReturnType<typeof mediansOf>,
): TableRow[] {
  const row = (way: string, rate: number): TableRow => [
    `${measured}, ${way}`,
    `${integer(rate)}/s`,
    times(rate, bull),
    times(rate, graphile),
  ];
  return [row('one by one', single), row('with `batch`', batch)];
}

/** Postbell's rates both ways, and the best rates of the two systems that it is compared with. */
function mediansOf<T extends { system: string; variant: string }>(
  runs: readonly T[],
  perSecond: (run: T) => number,
) {
  const rate = (system: string, variant: string) =>
    median(runs.filter((run) => run.system === system && run.variant === variant).map(perSecond));
  return {
    single: rate('postbell', 'one-by-one'),
    batch: rate('postbell', 'batch'),
    bull: rate('bullmq', 'plain'),
    graphile: rate('graphile-worker', 'local-queue'),
  };
}

function calm({ latency }: Results): TableRow[] {
  const postbell = latency.find(({ system }) => system === 'postbell');
  if (!postbell) return [];
  return [
    ['at 200 events/s: arrival to answer, median', ms(postbell.ackP50Ms), '', ''],
    [
      "at 200 events/s: arrival to the handler's COMMIT, median (p99)",
      `${ms(postbell.committedP50Ms)} (${ms(postbell.committedP99Ms)})`,
      '',
      '',
    ],
  ];
}

function flooded({ flood }: Results): TableRow[] {
  const postbell = flood.find(({ system }) => system === 'postbell');
  if (!postbell) return [];
  return [
    [
      `forgeries answered 401, with ${integer(postbell.statements)} SQL statements for ${integer(postbell.refused)} forgeries`,
      `${integer(postbell.refusedPerSecond)}/s`,
      '',
      '',
    ],
  ];
}

/** The text that README.md has now. */
export function writtenHowFast(): string | undefined {
  return region
    .exec(readFileSync(readme, 'utf8'))?.[0]
    .split('\n')
    .slice(1, -1)
    .map((line) => `${line}\n`)
    .join('');
}

export function writeHowFast(): string {
  const text = readFileSync(readme, 'utf8');
  writeFileSync(
    readme,
    text.replace(region, (_, start: string, end: string) => `${start}${howFast()}${end}`),
  );
  return fileURLToPath(readme);
}

if (import.meta.main) writeHowFast();
