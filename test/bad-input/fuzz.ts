// `npm run fuzz -- [--requests 200000] [--seed 1]`: mutated requests against a real web process; a report, and exit 1
// if anything was wrong. The same seed gives the same requests.
import { parseArgs } from 'node:util';
import { openScope } from '../faults/scope.ts';
import { orExit, wholeNumber } from '../support/chosen.ts';
import { stopCluster } from '../support/cluster-client.ts';
import { fuzz } from './fuzz-run.ts';
import { maxLagSeconds, openStage } from './stage.ts';

const { requests, seed } = orExit(() => {
  const { values } = parseArgs({ options: { requests: { type: 'string' }, seed: { type: 'string' } } });
  return {
    requests: wholeNumber('--requests', values.requests, 200_000, 1),
    seed: wholeNumber('--seed', values.seed, Math.floor(Math.random() * 1e9)),
  };
});
process.stdout.write(`fuzz: ${requests} requests, seed ${seed}\n`);
const scope = openScope();
try {
  const stage = await openStage(scope.t, { hasWorker: false });
  const { problems, ...report } = await fuzz(stage, seed, requests);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (report.lagSeconds > maxLagSeconds())
    problems.push(`the event loop's delay was ${report.lagSeconds} s at p99`);
  for (const problem of problems) process.stdout.write(`not ok: ${problem}\n`);
  process.stdout.write(problems.length ? `failed; repeat with --seed ${seed}\n` : 'ok\n');
  if (problems.length) {
    scope.fail();
    process.exitCode = 1;
  }
} finally {
  await scope.close();
  await stopCluster(process.pid);
}
