// Waits while a count changes. After a standstill the wait ends, and the ledger shows the difference.
import { setTimeout as delay } from 'node:timers/promises';

export interface Patience {
  /** Resolves when `count` is 0, or after a standstill, which also ends all later waits. */
  waitForNone(count: () => Promise<number>): Promise<void>;
}

const pollIntervalMs = 50;

/** @param standstillMs the wait ends when a count has not changed for this time */
export function createPatience(standstillMs: number): Patience {
  let isOver = false;
  return {
    waitForNone: async (count) => {
      let last = await count();
      let movedAt = performance.now();
      while (last !== 0 && !isOver) {
        await delay(pollIntervalMs);
        const left = await count();
        if (left !== last) movedAt = performance.now();
        last = left;
        isOver = left !== 0 && performance.now() - movedAt > standstillMs;
      }
    },
  };
}
