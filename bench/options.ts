// The command line of `npm run bench`.
import { parseArgs } from 'node:util';

/** The measures by name; the letter is a short form for `--only`. */
export const measures = {
  accept: { letter: 'a', title: 'accepted a second, p50 and p99' },
  process: { letter: 'b', title: 'processed a second' },
  latency: { letter: 'c', title: 'from the request to the commit, at 200/s' },
  flood: { letter: 'd', title: 'a flood of forgeries' },
  growth: { letter: 'e', title: 'accept and process with full tables' },
  footprint: { letter: 'f', title: 'memory and start of each process' },
  floor: { letter: 'g', title: 'the rows alone, without HTTP' },
  burst: { letter: 'h', title: 'a burst, accepted and processed at once' },
} as const;
export type Measure = keyof typeof measures;

export interface Options {
  measures: Measure[];
  /** Names; undefined: all. Postbell is always among them. */
  systems: string[] | undefined;
  connections: number[];
  seconds: number;
  warmUpSeconds: number;
  repeat: number;
  /** Events in the queue of `process`. */
  queueEvents: number;
  growth: { pending: number; finished: number };
  isQuick: boolean;
  from: 'src' | 'dist';
  /** Where Postbell's processes leave their CPU profiles. */
  profiles: string | undefined;
  /** Where results.md, results.svg and results.json go; undefined: nowhere. */
  out: string | undefined;
}

export const usage = `Usage: npm run bench -- [options]

  --quick           short runs and small tables: shows that the program works; its figures mean nothing
  --only accept,process   only these measures, by name or letter:
${Object.entries(measures)
  .map(([name, { letter, title }]) => `                      ${name.padEnd(9)}  ${letter}  ${title}`)
  .join('\n')}
  --systems x,y     only these beside Postbell: verify-only, insert, bullmq, graphile-worker,
                    pg-boss (all; quick: verify-only,bullmq)
  --connections 64,256,1000
  --seconds N       length of one run (5)
  --repeat N        rounds; the table shows the median (2)
  --pending N, --finished N   events in the full tables (1,000,000 and 5,000,000)
  --from src|dist   run Postbell from its sources or from a build made now (dist; quick: src)
  --profile FOLDER  Postbell's processes leave their CPU profiles there (--cpu-prof)
  --out FOLDER      where the results go (the whole measurement: bench/; otherwise nowhere)
`;

export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      systems: { type: 'string' },
      connections: { type: 'string' },
      seconds: { type: 'string' },
      repeat: { type: 'string' },
      pending: { type: 'string' },
      finished: { type: 'string' },
      from: { type: 'string' },
      profile: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const isQuick = values.quick;
  const chosen = list('only', values.only)?.map(measureOf) ?? (Object.keys(measures) as Measure[]);
  const from = values.from ?? (isQuick ? 'src' : 'dist');
  if (from !== 'src' && from !== 'dist') throw new Error('--from must be src or dist');
  const seconds = positive('seconds', values.seconds, isQuick ? 1 : 5);
  const isWhole = !isQuick && !values.only && !values.systems;
  return {
    measures: chosen,
    systems: list('systems', values.systems) ?? (isQuick ? ['verify-only', 'bullmq'] : undefined),
    connections:
      list('connections', values.connections)?.map((text) => positive('connections', text, 0)) ??
      (isQuick ? [64] : [64, 256, 1_000]),
    seconds,
    warmUpSeconds: isQuick ? 1 : 2,
    repeat: positive('repeat', values.repeat, isQuick ? 1 : 2),
    queueEvents: isQuick ? 3_000 : 400_000,
    growth: {
      pending: positive('pending', values.pending, isQuick ? 5_000 : 1_000_000),
      finished: positive('finished', values.finished, isQuick ? 10_000 : 5_000_000),
    },
    isQuick,
    from,
    profiles: values.profile,
    out: values.out ?? (isWhole ? import.meta.dirname : undefined),
  };
}

/** @throws Error for a text that is neither a name nor a letter */
function measureOf(text: string): Measure {
  const names = Object.keys(measures) as Measure[];
  const found = names.find((name) => name === text || measures[name].letter === text);
  if (!found) throw new Error(`--only: there is no measure ${text}\n\n${usage}`);
  return found;
}

/** @throws Error for an empty list: a run without a measure would pass */
function list(name: string, text: string | undefined): string[] | undefined {
  const items = text
    ?.split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  if (items?.length === 0) throw new Error(`--${name} must be a list with commas between its parts`);
  return items;
}

function positive(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
}
