// `npm run mutants`: breaks copies of the source, each in one way, and prints how many of them the ledger caught.
import { parseArgs } from 'node:util';
import { chosenOf, orExit, wholeNumber } from '../../support/chosen.ts';
import { inLanes } from '../lanes.ts';
import type { Violation } from '../ledger.ts';
import { openScope } from '../scope.ts';
import { type Mutant, mutants } from './mutants.ts';
import type { Scenario } from './scenarios.ts';
import { copySource, type Edit } from './source-copy.ts';

const { only, lanes } = orExit(() => {
  const { values } = parseArgs({ options: { only: { type: 'string' }, lanes: { type: 'string' } } });
  const names = mutants.map(({ id }) => id);
  return {
    only: chosenOf('mutant', names, values.only),
    lanes: wholeNumber('--lanes', values.lanes, 3, 1),
  };
});
const chosen = mutants.filter(({ id }) => !only || only.includes(id));
const caught: string[] = [];
const problems: string[] = [];
const say = (text: string) => process.stdout.write(`${text}\n`);

// The same faults done to the code as it is: a ledger that always complains would catch every mutant, too.
const controls = [...new Set(chosen.map(({ scenario }) => scenario))];
await inLanes(
  lanes,
  [...chosen, ...controls.map((scenario) => ({ scenario, isControl: true as const }))],
  (task) => ('isControl' in task ? runControl(task.scenario) : runMutant(task)),
);
for (const problem of problems) say(problem);
say(`${caught.length} of ${chosen.length} mutants caught`);
process.exitCode = problems.length || caught.length !== chosen.length ? 1 : 0;

async function runMutant({ id, title, edits, prepare, scenario, invariant }: Mutant): Promise<void> {
  await attempt(id, async () => {
    const violations = await hold(scenario, edits, prepare);
    const found = [...new Set(violations.map((violation) => violation.invariant))].sort();
    if (found.includes(invariant)) caught.push(id);
    else problems.push(`${id} was not caught by ${invariant}`);
    const example = violations.find((violation) => violation.invariant === invariant)?.detail ?? 'nothing';
    say(`${id} ${title}: ${found.join(' ') || 'not caught'} (${example.slice(0, 120)})`);
  });
}

async function runControl(scenario: Scenario): Promise<void> {
  const { name } = scenario;
  await attempt(name, async () => {
    const violations = await hold(scenario, []);
    say(`control ${name}: ${violations.length === 0 ? 'the books balance' : JSON.stringify(violations)}`);
    if (violations.length) problems.push(`${name}: the books of the unchanged code do not balance`);
  });
}

async function hold(
  scenario: Scenario,
  edits: readonly Edit[],
  prepare: Mutant['prepare'] = async () => {},
): Promise<Violation[]> {
  const scope = openScope();
  try {
    return await scenario({ t: scope.t, root: copySource(scope.t, edits), prepare });
  } finally {
    await scope.close();
  }
}

/** A patch that no longer applies, or a fault that could not be done, is a failure and not a skip. */
async function attempt(title: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    problems.push(`${title}: ${(error as Error).message}`);
  }
}
