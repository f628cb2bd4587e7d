// A run that checked nothing must not pass: unknown names are errors, and what was not run fails unless the list of
// impossibilities names it.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { temporaryFolder } from '../support/folders.ts';
import { impossibilities } from '../support/impossibilities.ts';
import { runProcess } from '../support/processes.ts';
import { faults } from './program/list.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const faultsProgram = path.join(root, 'test/faults/program/main.ts');
const run = (script: string, args: readonly string[], env: Record<string, string> = {}) =>
  runProcess(args, { script: path.join(root, script), cwd: root, env });

const programs: [name: string, script: string, args: readonly string[], env?: Record<string, string>][] = [
  ['faults', 'test/faults/program/main.ts', ['--only', 'F999']],
  ['faults, one of two', 'test/faults/program/main.ts', ['--only', 'F1,F999', '--quick']],
  ['faults, nothing chosen', 'test/faults/program/main.ts', ['--only', '', '--quick']],
  ['faults, an unknown option', 'test/faults/program/main.ts', ['--onyl', 'F1']],
  ['mutants', 'test/faults/mutants/main.ts', ['--only', 'M999']],
  ['mutants, nothing chosen', 'test/faults/mutants/main.ts', ['--only', '']],
  ['mutants, no lane', 'test/faults/mutants/main.ts', ['--lanes', '0']],
  ['fuzz', 'test/bad-input/fuzz.ts', ['--requests', 'none']],
  ['fuzz, an unknown option', 'test/bad-input/fuzz.ts', ['--only', 'B1']],
  ['bench', 'bench/main.ts', ['--only', 'nothing']],
  ['bench, nothing chosen', 'bench/main.ts', ['--quick', '--only', '']],
  ['bench, an unknown system', 'bench/main.ts', ['--quick', '--only', 'a', '--systems', 'nobody']],
  ['bench, no system', 'bench/main.ts', ['--quick', '--only', 'a', '--systems', ',']],
  ['bad inputs', 'test/bad-input/bad-input.slow.ts', [], { BAD_INPUT: 'B999' }],
  ['bad inputs, one of two', 'test/bad-input/bad-input.slow.ts', [], { BAD_INPUT: 'B17,B999' }],
];

for (const [name, script, args, env] of programs) {
  t.test(`${name}: a name that does not exist ends with exit code 1 and says so`, async (t) => {
    const { code, stdout, stderr } = await run(script, args, env);
    t.equal(code, 1);
    t.match(stdout + stderr, /there is no|Unknown option|usage|Usage|must be/);
  });
}

function result(id: string, outcome: 'held' | 'not run', problems: readonly string[] = []): object {
  const tally = { acked: 1, lost: 0, doubled: 0, stuck: 0 };
  const fixed = {
    title: id,
    repeats: 1,
    recoveryMs: null,
    notes: [],
    seconds: 1,
    set: 'quick',
    seed: 1,
    commit: 'x',
  };
  return { id, outcome, problems, tally, ...fixed };
}

/** The program over results that are there already, so that it does no fault. */
async function runOver(t: Test, results: readonly object[]) {
  const file = path.join(temporaryFolder(t), 'results.json');
  writeFileSync(file, JSON.stringify(results));
  return runProcess(['--quick', '--no-mutants', '--minutes', '0', '--results', file], {
    script: faultsProgram,
    cwd: root,
  });
}

const held = (except: readonly string[] = []) =>
  faults.filter(({ id }) => !except.includes(id)).map(({ id }) => result(id, 'held'));

t.test('all held: the run passes', async (t) => {
  t.match(await runOver(t, held()), { code: 0, stdout: /^faults: 51 held, 0 broken, 0 not run$/m });
});

t.test('what the time of the run did not reach fails it, one or fifty', async (t) => {
  for (const results of [held(['F7']), [result('F1', 'held')]]) {
    const { code, stdout } = await runOver(t, results);
    t.equal(code, 1);
    t.match(stdout, /^F7 .*: not run: the time of this run was over/m);
    t.match(stdout, /^!!! .*not run, and no impossibility of test\/support\/impossibilities.ts/m);
  }
});

t.test('a fault that the machine cannot have is named, and the run passes', async (t) => {
  const { code, stdout } = await runOver(t, [
    ...held(['F43']),
    result('F43', 'not run', [impossibilities.F43]),
  ]);
  t.equal(code, 0);
  t.match(stdout, /^F43 .*: not run: libfaketime/m);
});

t.test('another reason than that of the list fails the run, also for such a fault', async (t) => {
  t.match(await runOver(t, [...held(['F43']), result('F43', 'not run', ['no mood'])]), { code: 1 });
  t.match(await runOver(t, [...held(['F2']), result('F2', 'not run', [impossibilities.F43])]), { code: 1 });
});

t.test('the list is the only place: nothing is skipped for a reason of its own', (t) => {
  const known = new Set([
    ...faults.map(({ id }) => id),
    ...Array.from({ length: 83 }, (_, index) => `B${index + 1}`),
  ]);
  for (const id of Object.keys(impossibilities)) t.ok(known.has(id), `${id} exists`);
  const ci = readFileSync(path.join(root, '.ci/run'), 'utf8');
  t.match(ci, 'npm run faults');
  t.end();
});
