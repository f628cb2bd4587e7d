// `npm run fuzz -- [--requests 200000] [--alterations 300] [--unproven 2000|all] [--seed 1]`: mutated requests against a
// real web process, alterations of each provider's signed deliveries, then floods of what is not proven; a report, and
// exit 1 if anything was wrong. The same seed gives the same requests.
import { parseArgs } from 'node:util';
import { type Provider, providers } from '../../src/providers/index.ts';
import { openScope } from '../faults/scope.ts';
import { checkAlterations } from '../providers/signed-once.ts';
import { orExit, wholeNumber } from '../support/chosen.ts';
import { stopCluster } from '../support/cluster-client.ts';
import { fuzz } from './fuzz-run.ts';
import { maxLagSeconds, openStage } from './stage.ts';
import { costOfUnproven, stallsOfUnproven } from './unproven-run.ts';

const { requests, alterations, unproven, seed } = orExit(() => {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string' },
      alterations: { type: 'string' },
      unproven: { type: 'string' },
      seed: { type: 'string' },
    },
  });
  return {
    requests: wholeNumber('--requests', values.requests, 200_000, 1),
    alterations: wholeNumber('--alterations', values.alterations, 300, 1),
    unproven: values.unproven === 'all' ? 'all' : wholeNumber('--unproven', values.unproven, 2_000, 1),
    seed: wholeNumber('--seed', values.seed, Math.floor(Math.random() * 1e9)),
  } as const;
});
process.stdout.write(`fuzz: ${requests} requests, seed ${seed}\n`);
const scope = openScope();
try {
  const stage = await openStage(scope.t, { hasWorker: false });
  const { problems, ...report } = await fuzz(stage, seed, requests);
  problems.push(...(await alterAll()));
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (report.lagSeconds > maxLagSeconds())
    problems.push(`the event loop's delay was ${report.lagSeconds} s at p99`);
  for (const flood of [costOfUnproven, stallsOfUnproven]) {
    const { problems: found, ...figures } = await flood(scope.t, seed, unproven);
    process.stdout.write(`${flood.name}: ${JSON.stringify(figures)}\n`);
    problems.push(...found);
  }
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

/** So many of each sample of each provider; what was accepted as another event. */
async function alterAll(): Promise<string[]> {
  const problems: string[] = [];
  for (const provider of Object.values<Provider>(providers))
    await checkAlterations(provider, { seed, numRuns: alterations }).catch((error) =>
      problems.push(`${provider.name}: ${error.message}`),
    );
  return problems;
}
