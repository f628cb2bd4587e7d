// Whatever runs before a signature is proven is bounded: a sample of the day; all of it is in `npm run fuzz`.
import t from 'tap';
import { costOfUnproven, stallsOfUnproven } from './unproven-run.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));
const count = 60;

t.test(`the cost of a body that proves nothing grows with it at most, FUZZ_SEED=${seed}`, async (t) => {
  const { problems } = await costOfUnproven(t, seed, count);
  t.same(problems, []);
});

t.test(`a flood of them does not hold up the server, FUZZ_SEED=${seed}`, async (t) => {
  const { problems, worstMs, turnMs } = await stallsOfUnproven(t, seed, count);
  t.same(problems, []);
  t.comment(`the longest wait for /healthz was ${worstMs} ms, the longest turn ${turnMs} ms of CPU time`);
});
