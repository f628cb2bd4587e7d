// The command line of `npm run bench`.
import { parseArgs } from 'node:util';

export const measures = {
  a: 'accepted a second, p50 and p99',
  b: 'processed a second',
  c: 'receive → committed latency at 200/s',
  d: 'a flood of forgeries',
  e: 'a and b with full tables',
  f: 'memory and start of each process',
  g: 'the floor: the rows alone',
  h: 'a burst, accepted and processed at once',
};
export type Measure = keyof typeof measures;

export interface Options {
  measures: Measure[];
  /** Names; undefined: all. Postbell is always among them. */
  systems: string[] | undefined;
  connections: number[];
  seconds: number;
  warmUpSeconds: number;
  repeat: number;
  /** Events filled in for (b). */
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
  --only a,b        only these measures:
${Object.entries(measures)
  .map(([key, title]) => `                      ${key}  ${title}`)
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
  const chosen = list('only', values.only) ?? Object.keys(measures);
  for (const key of chosen) {
    if (!Object.hasOwn(measures, key)) throw new Error(`--only: there is no measure ${key}\n\n${usage}`);
  }
  const from = values.from ?? (isQuick ? 'src' : 'dist');
  if (from !== 'src' && from !== 'dist') throw new Error('--from must be src or dist');
  const seconds = positive('seconds', values.seconds, isQuick ? 1 : 5);
  const isWhole = !isQuick && !values.only && !values.systems;
  return {
    measures: chosen as Measure[],
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

/** @throws Error where nothing is chosen: a run of nothing would pass */
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
