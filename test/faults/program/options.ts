// The command line of `npm run faults`.
import { parseArgs } from 'node:util';
import { chosenOf, wholeNumber } from '../../support/chosen.ts';
import { faults } from './list.ts';

export interface Options {
  isFull: boolean;
  /** Ids; undefined: all. */
  only: readonly string[] | undefined;
  seed: number;
  /** Faults side by side. */
  lanes: number;
  /** No fault is begun after so many. */
  minutes: number;
  /** Where results are kept: a run that finds some there goes on behind them. */
  results: string | undefined;
  writesReport: boolean;
  runsMutants: boolean;
}

export const usage = `Usage: npm run faults -- [options]

  --quick           each fault once; without it the full set: repeats and random kills, under an hour
  --only F1,F2      only these faults
  --seed 7          the moments and victims of an earlier run; default: a new one, printed
  --lanes 2         so many faults side by side
  --minutes 20      begins no fault after 20 minutes; what was not begun is reported as not run
  --results FILE    keeps each result there; a run that finds results in it goes on where that one stopped
  --no-mutants      leaves out the mutants, which a run of all faults ends with
  --write           puts the report into docs/reliability.md
  --list            prints the faults
`;

export function parseOptions(args: readonly string[]): Options | 'help' | 'list' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      seed: { type: 'string' },
      lanes: { type: 'string' },
      minutes: { type: 'string' },
      results: { type: 'string' },
      write: { type: 'boolean' },
      'no-mutants': { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return 'help';
  if (values.list) return 'list';
  const only = chosenOf(
    'fault',
    faults.map(({ id }) => id),
    values.only,
  );
  return {
    isFull: !values.quick,
    only,
    seed: wholeNumber('--seed', values.seed, Math.floor(Math.random() * 2 ** 31)),
    lanes: wholeNumber('--lanes', values.lanes, 2, 1),
    minutes: wholeNumber('--minutes', values.minutes, 55),
    results: values.results,
    writesReport: values.write ?? false,
    runsMutants: !values['no-mutants'] && !only,
  };
}
