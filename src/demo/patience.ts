// Waiting for as long as something moves: what stands still is not waited for any more, and shows in the ledger.
import { setTimeout as delay } from 'node:timers/promises';

export interface Patience {
  /** Until `count` is 0, or patience is at its end: for this wait and all that follow. */
  waitForNone(count: () => Promise<number>): Promise<void>;
}

const betweenLooksMs = 50;

/** @param standstillMs the wait ends when a count has not changed for this time */
export function createPatience(standstillMs: number): Patience {
  let isOver = false;
  return {
    waitForNone: async (count) => {
      let last = await count();
      let movedAt = performance.now();
      while (last !== 0 && !isOver) {
        await delay(betweenLooksMs);
        const left = await count();
        if (left !== last) movedAt = performance.now();
        last = left;
        isOver = left !== 0 && performance.now() - movedAt > standstillMs;
      }
    },
  };
}
