// A process of its own: what unproven deliveries cost the verifier and the diagnosis, in CPU time of the one thread.
// Its heap is small (see flood-run.ts): whatever takes many times its body's bytes ends it.
import { answerHandshake, diagnoseRejection, providers, verifyDelivery } from '../../src/providers/index.ts';
import { createRandom } from './random.ts';
import { deliveryOf, everyUnproven, nameOf, sampleOf, sourceOf, type Unproven } from './unproven.ts';

const [seed = '0', count = '0'] = process.argv.slice(2);
const mebibyte = 1_048_576;
const verifiedBytes = [mebibyte / 4, mebibyte / 2] as const;
/** Larger ones are not written again, and much larger ones not diagnosed. */
const diagnosedBytes = [30_000, 60_000] as const;
const mostGrowth = 2.5;
/** Below this, growth is noise: compiling and collecting garbage cost as much now and then. */
const noiseMs = 100;
const triesAtMost = 8;

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const others = [providers.adyen, providers.mandrill, providers.stripe].map((provider) => ({
  ...sourceOf(provider),
  name: `other-${provider.name}`,
}));

async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

async function verify(unproven: Unproven, bytes: number): Promise<number> {
  const delivery = deliveryOf(unproven, bytes);
  const source = sourceOf(unproven.provider);
  return cpuMs(() => {
    answerHandshake(source, delivery, 'unsigned');
    return verifyDelivery(source, delivery);
  });
}

async function diagnose(unproven: Unproven, bytes: number): Promise<number> {
  const delivery = deliveryOf(unproven, bytes);
  const source = sourceOf(unproven.provider);
  const verdict = await verifyDelivery(source, delivery);
  // Nothing to forge: whoever has the URL's secret may send what he likes.
  if (verdict.ok) return 0;
  return cpuMs(() => diagnoseRejection(source, delivery, verdict, others));
}

/** The least of several tries is the work itself: until the growth is that of the body, or it never is. */
async function check(
  what: string,
  unproven: Unproven,
  [less, more]: readonly [number, number],
  cost: (unproven: Unproven, bytes: number) => Promise<number>,
): Promise<void> {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let tries = 0; tries < triesAtMost; tries++) {
    most = Math.min(most, await cost(unproven, more));
    if (most <= noiseMs) return;
    least = Math.min(least, await cost(unproven, less));
    if (most <= least * mostGrowth) return;
    if (tries > 0 && most > 10 * noiseMs) break; // noise is not as large
  }
  const name = `${what}: ${nameOf(unproven)}`;
  say({ problem: `${name}: ${least.toFixed()} ms for ${less} bytes, ${most.toFixed()} ms for ${more}` });
}

const all = count === 'all' ? everyUnproven() : sampleOf(createRandom(Number(seed)), Number(count));
say({ count: all.length });
for (const unproven of all) {
  // Should the heap not suffice, this was the last line.
  say({ begins: nameOf(unproven) });
  await check('verifying', unproven, verifiedBytes, verify);
  await check('diagnosing', unproven, diagnosedBytes, diagnose);
  await verify(unproven, mebibyte);
}
say({ done: true, maxRssMb: Math.round(process.resourceUsage().maxRSS / 1_024) });
