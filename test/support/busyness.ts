// How much longer things may take here than on a machine that does nothing else.
import { availableParallelism, loadavg } from 'node:os';

/**
 * At least 1. With more to do than there are cores, each process waits for the others. The last minute counts, and the
 * load is an average that follows slowly: hence twice.
 */
export const busyness = (): number => Math.max(1, (2 * loadavg()[0]!) / availableParallelism());

/** Of `referenceWork` on the machine that the limits of CPU time were set on, in ms. */
const referenceMs = 40;

/**
 * How much more CPU time this machine needs at the moment than the one that such limits were set on; at least 1. A slow
 * processor, or one whose cores are shared with other machines, counts more time for the same work.
 */
export function slowness(): number {
  const before = process.cpuUsage();
  let sum = 0;
  for (let i = 0; i < 30_000_000; i++) sum += i % 7;
  const { user, system } = process.cpuUsage(before);
  if (sum === 0) throw new Error('the reference work was left out');
  return Math.max(1, (user + system) / 1_000 / referenceMs);
}
