// The bad-input list B1 to B83 against real processes; what holds over the whole of it; and the score.
// BAD_INPUT=B37,B44 checks those alone.
import t from 'tap';
import { isRunning } from '../support/processes.ts';
import { bodyRows } from './body-rows.ts';
import { framingRows } from './framing-rows.ts';
import { httpRows } from './http-rows.ts';
import { type Result, scoreLines } from './rows.ts';
import { canaries } from './senders.ts';
import { signatureRows } from './signature-rows.ts';
import { openStage, placesOfLeaks } from './stage.ts';

const only = process.env.BAD_INPUT?.split(',');
const all = [...signatureRows, ...bodyRows, ...framingRows, ...httpRows];
const rows = all.filter(({ id }) => only?.includes(id) ?? true);
const maxLagSeconds = 0.1;
const stage = await openStage(t);
const results = new Map<string, Result>();
const begun = new Map(rows.map((row) => [row.id, row.begin?.(stage)]));

for (const { id, title, check } of rows) {
  results.set(id, check ? 'failed' : 'not applicable');
  if (!check) continue;
  t.test(`${id} ${title}`, async (t) => {
    await check(t, stage, await begun.get(id));
    if (t.passing()) results.set(id, 'passed');
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
  t.ok(
    Math.max(...stage.lagsSeconds) < maxLagSeconds,
    `p99 of the event loop's delay: ${stage.lagsSeconds} s`,
  );
  for (const [place, text] of await placesOfLeaks(stage))
    for (const canary of canaries) t.notOk(text.includes(canary), `${canary} is not in ${place}`);
  const answers = [...stage.statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${count} × ${status}`);
  t.comment(`answers: ${answers.join(', ')}`);
  for (const line of scoreLines(rows, results)) t.comment(line);
});
