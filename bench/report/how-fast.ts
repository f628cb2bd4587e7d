// The README's section on speed, made from results.json alone: `node bench/report/how-fast.ts` writes it, as
// `npm run bench` does at its end; test/readme.test.ts checks that it was.
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
  if (!Number.isFinite(theirs)) return '(not measured) ×';
  return `${(ours / theirs).toFixed(ours / theirs < 10 ? 1 : 0)} ×`;
};
const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** What must stand between the markers; nothing where nothing was measured yet. */
export function howFast(): string {
  if (!existsSync(resultsFile)) return '';
  const results = JSON.parse(readFileSync(resultsFile, 'utf8')) as Results;
  const sentences = [
    accepting(results),
    processing(results),
    bursting(results),
    calm(results),
    flooded(results),
  ];
  return [
    '## How fast',
    '',
    '![Accepted and processed a second, beside what teams pick instead](bench/results.svg)',
    '',
    `${machine(results)} ${sentences.filter(Boolean).join(' ')}`,
    '[All figures](bench/results.md) · [how they are measured, and what was tried](bench/README.md)',
    '',
  ].join('\n');
}

function machine({ machine, rounds, seconds }: Results): string {
  const { cores, versions } = machine!;
  return `One machine of ${cores} cores that ran everything at once: the system, Postgres ${versions.Postgres} with fsync or Redis, and the load; medians of ${rounds} interleaved rounds of ${seconds} s.`;
}

function accepting({ accept }: Results): string {
  const rate = (system: string) =>
    median(
      accept
        .filter((run) => run.system === system && run.connections === connections)
        .map((run) => run.acceptedPerSecond),
    );
  const ours = rate('postbell');
  return (
    `**Accepted: ${integer(ours)}/s** at ${connections} connections, each event committed with its job: ` +
    `${times(ours, rate('bullmq'))} Fastify + BullMQ on Redis (which answers before anything is on the disk), ` +
    `${times(ours, rate('graphile-worker'))} graphile-worker and ${times(ours, rate('pg-boss'))} plain pg-boss with a transaction each, ` +
    `${Math.round((ours / rate('verify-only')) * 100)} % of a Fastify that only verifies.`
  );
}

function processing({ process }: Results): string {
  const { single, batch, bull, graphile } = mediansOf(process, (run) => run.processedPerSecond);
  return (
    `**Processed: ${integer(single)}/s** one by one, **${integer(batch)}/s** with \`batch\`, each event one row: ` +
    `${times(single, bull)} and ${times(batch, bull)} a BullMQ worker that writes the same row, ` +
    `${times(single, graphile)} and ${times(batch, graphile)} graphile-worker at its best.`
  );
}

function bursting({ burst }: Results): string {
  const { single, batch, bull, graphile } = mediansOf(burst, (run) => run.handledPerSecond);
  return (
    `**A burst, both at once: ${integer(single)}/s** one by one, **${integer(batch)}/s** with \`batch\`, from the first request to the ` +
    `last handler's row: ${times(single, bull)} and ${times(batch, bull)} BullMQ, ${times(single, graphile)} and ${times(batch, graphile)} graphile-worker.`
  );
}

/** Of Postbell both ways, and of the two that it is compared with, at their best. */
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

function calm({ latency }: Results): string {
  const ours = latency.find(({ system }) => system === 'postbell');
  if (!ours) return '';
  return `At 200/s: answered after ${ms(ours.ackP50Ms)}, the handler's row committed after ${ms(ours.committedP50Ms)} (p99 ${ms(ours.committedP99Ms)}).`;
}

function flooded({ flood }: Results): string {
  const ours = flood.find(({ system }) => system === 'postbell');
  if (!ours) return '';
  return (
    `Forgeries: ${integer(ours.refusedPerSecond)}/s refused, ${ours.statements} statements of SQL for ${integer(ours.refused)} ` +
    `(at most one row a second is kept for \`doctor\`).`
  );
}

/** What stands there now. */
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
