// The bad-input list B1 to B83 against real processes; what holds over the whole of it; and the score.
// BAD_INPUT=B37,B44 checks those alone.

import t from 'tap';
import { chosenOf, orExit } from '../support/chosen.ts';
import { NotRun } from '../support/impossibilities.ts';
import { isRunning } from '../support/processes.ts';
import { allRows as all } from './all-rows.ts';
import { type Result, rowCount, scoreLines } from './rows.ts';
import { maxLagSeconds, openStage } from './stage.ts';

const only = orExit(() =>
  chosenOf(
    'bad input',
    all.map(({ id }) => id),
    process.env.BAD_INPUT || undefined,
  ),
);
const rows = all.filter(({ id }) => only?.includes(id) ?? true);
const minLagWindowSeconds = 3;
const stage = await openStage(t);
const results = new Map<string, Result>();
const begun = new Map(rows.map((row) => [row.id, row.begin?.(stage)]));
for (const beginning of begun.values()) beginning?.catch(() => {}); // told in its row's turn

for (const { id, title, check, notApplicable } of rows) {
  results.set(id, check ? 'failed' : `not applicable: ${notApplicable}`);
  if (!check) continue;
  t.test(`${id} ${title}`, async (t) => {
    try {
      await check(t, stage, await begun.get(id));
      if (t.passing()) results.set(id, 'passed');
    } catch (error) {
      if (!(error instanceof NotRun && error.id === id)) throw error;
      if (t.passing()) results.set(id, `not run: ${error.message}`);
    }
  });
}

t.test('over the whole run', async (t) => {
  t.same(stage.problems, [], 'no answer was a 500, of another shape, or told a secret');
  t.same(
    stage.web.logs.filter(({ level = 0 }) => level >= 50),
    [],
    'web logged no error, no rejection',
  );
  t.ok(isRunning(stage.web.pid) && isRunning(stage.worker.pid), 'no crash');
  await stage.metrics();
  // In a moment between two readings one late timer is the p99.
  for (const { overSeconds, p99Seconds } of stage.lags.filter((lag) => lag.overSeconds > minLagWindowSeconds))
    t.ok(
      p99Seconds < maxLagSeconds(),
      `event loop's delay over ${overSeconds.toFixed(1)} s: p99 ${p99Seconds} s`,
    );
  t.equal(all.length, rowCount, 'every row of the list is here');
  const answers = [...stage.statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${count} × ${status}`);
  t.comment(`answers: ${answers.join(', ')}`);
  for (const line of scoreLines(rows, results)) t.comment(line);
});
