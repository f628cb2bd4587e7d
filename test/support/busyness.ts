// How much longer things may take here than on a machine that does nothing else.
import { availableParallelism, loadavg } from 'node:os';

/**
 * At least 1. With more to do than there are cores, each process waits for the others. The last minute counts, and the
 * load is an average that follows slowly: hence twice.
 */
export const busyness = (): number => Math.max(1, (2 * loadavg()[0]!) / availableParallelism());
