// A short run of the fuzzer with a seed of the day; the long one is `npm run fuzz`.
import t from 'tap';
import { fuzz } from './fuzz-run.ts';
import { openStage } from './stage.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));
const stage = await openStage(t, { hasWorker: false });

t.test(`5,000 mutated requests, FUZZ_SEED=${seed}`, async (t) => {
  const { problems, ...report } = await fuzz(stage, seed, 5_000);
  t.same(problems, []);
  t.comment(JSON.stringify(report));
});
