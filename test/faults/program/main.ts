// `npm run faults`: does the faults F1-F51 to real processes and databases, and reports what held.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { orExit } from '../../support/chosen.ts';
import { isNamedImpossibility } from '../../support/impossibilities.ts';
import { inLanes } from '../lanes.ts';
import { type Fault, type Result, runFault } from './fault.ts';
import { faults } from './list.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { formatReport, formatSummary, writeReport } from './report.ts';

const say = (text: string) => process.stdout.write(`${text}\n`);
const options = orExit(() => parseOptions(process.argv.slice(2)));
if (options === 'help') say(usage);
else if (options === 'list') for (const { id, title } of faults) say(`${id.padEnd(4)} ${title}`);
else await main(options);

async function main(run: Options): Promise<void> {
  const { isFull, only, seed, lanes, minutes } = run;
  const described = spawnSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' });
  const commit = described.stdout?.trim() || 'unknown'; // an unpacked archive has no history
  const results = readResults(run.results);
  say(`${isFull ? 'full' : 'quick'} set, seed ${seed}, commit ${commit}`);
  process.on('unhandledRejection', (error) => {
    say(`a promise of the program itself was rejected: ${(error as Error).stack ?? error}`);
    process.exitCode = 1;
  });

  const startedAt = performance.now();
  const chosen = faults.filter(({ id }) => (!only || only.includes(id)) && !results.has(id));
  const runOne = async (fault: Fault) => {
    if (performance.now() - startedAt > minutes * 60_000) return;
    const result = await runFault(fault, { isFull, seed, commit });
    results.set(fault.id, result);
    saveResults(run.results, results);
    say(describe(result));
  };
  const together = chosen.filter(({ isAlone }) => !isAlone);
  const byLength = together.toSorted((a, b) => Number(b.isLong ?? false) - Number(a.isLong ?? false));
  await inLanes(lanes, byLength, runOne);
  await inLanes(
    1,
    chosen.filter(({ isAlone }) => isAlone),
    runOne,
  );

  const reported = faults
    .filter(({ id }) => !only || only.includes(id))
    .map((fault) => results.get(fault.id) ?? outOfTime(fault, { isFull, seed, commit }));
  const report = formatReport(reported, {
    command: `npm run faults${isFull ? '' : ' -- --quick'}`,
    machine: `${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GB, Node ${process.version}`,
    mutants: run.runsMutants ? runMutants() : 'Mutants: not run',
  });
  say(`\n${report}`);
  if (run.writesReport) writeReport(report);
  say(`\n${formatSummary(reported)}`);
  const left = reported.filter(
    ({ id, outcome, problems }) => outcome === 'not run' && !isNamedImpossibility(id, problems[0]),
  );
  if (left.length) {
    const ids = left.map(({ id }) => id).join(', ');
    say(`!!! ${ids}: not run, and no impossibility of test/support/impossibilities.ts`);
  }
  if (left.length || reported.some(({ outcome }) => outcome === 'broken')) process.exitCode = 1;
}

/** The line with which the program of the mutants ends. */
function runMutants(): string {
  const script = fileURLToPath(new URL('../mutants/main.ts', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  if (status !== 0) process.exitCode = 1;
  return stdout.trim().split('\n').at(-1) ?? 'Mutants: not run';
}

function outOfTime({ id, title }: Fault, of: { isFull: boolean; seed: number; commit: string }): Result {
  return {
    id,
    title,
    outcome: 'not run',
    repeats: 0,
    tally: { acked: 0, lost: 0, doubled: 0, stuck: 0 },
    recoveryMs: null,
    notes: [],
    problems: ['the time of this run was over'],
    seconds: 0,
    set: of.isFull ? 'full' : 'quick',
    seed: of.seed,
    commit: of.commit,
  };
}

function describe({ id, title, outcome, seconds, tally, recoveryMs, notes, problems }: Result): string {
  const figures = `${tally.acked} acked, ${tally.lost} lost, ${tally.doubled} doubled, ${tally.stuck} stuck`;
  const recovery = recoveryMs === null ? '' : `, recovery ${(recoveryMs / 1_000).toFixed(1)} s`;
  const further = [...problems, ...notes].map((text) => `\n     ${text}`).join('');
  return `${id.padEnd(4)} ${outcome}: ${title} (${seconds} s; ${figures}${recovery})${further}`;
}

function readResults(file: string | undefined): Map<string, Result> {
  if (!file || !existsSync(file)) return new Map();
  const list = JSON.parse(readFileSync(file, 'utf8')) as Result[];
  return new Map(list.map((result) => [result.id, result]));
}

function saveResults(file: string | undefined, results: ReadonlyMap<string, Result>): void {
  if (file) writeFileSync(file, `${JSON.stringify([...results.values()], undefined, 2)}\n`);
}
