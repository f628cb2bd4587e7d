// Waiting with one limit for all of it: what is late after that is not waited for any more, and shows in the ledger.
import { setTimeout as delay } from 'node:timers/promises';

export interface Patience {
  /** Until it is true, or patience is at its end. */
  waitFor(isTrue: () => Promise<boolean>): Promise<void>;
}

const betweenLooksMs = 50;

export function createPatience(limitMs: number): Patience {
  const deadline = performance.now() + limitMs;
  return {
    waitFor: async (isTrue) => {
      while (!(await isTrue()) && performance.now() < deadline) await delay(betweenLooksMs);
    },
  };
}
