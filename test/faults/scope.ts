// Lets the test harness be used outside tap: what is registered on a scope is undone when it closes.
import type { Test } from 'tap';

export interface Scope {
  /** To be given to what wants a tap test. */
  t: Test;
  fail(): void;
  close(): Promise<void>;
}

export function openScope(): Scope {
  const cleanUps: (() => unknown)[] = [];
  let isPassing = true;
  const stand = {
    // A parent, so that the check for what is still open is left to the process's own end.
    parent: {},
    passing: () => isPassing,
    teardown: (cleanUp: () => unknown) => cleanUps.push(cleanUp),
  };
  return {
    t: stand as unknown as Test,
    fail: () => {
      isPassing = false;
    },
    close: async () => {
      for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
    },
  };
}
