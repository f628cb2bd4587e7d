// Stops the code under test at a known point and counts what passes there, so that no test has to guess at timing.
import type { Database } from '../../src/database/database.ts';

export interface Gate {
  /** Awaited at the point in question. */
  pass(): Promise<void>;
  /** How many came to it. */
  arrived(): number;
  open(): void;
}

/** Closed until opened; then it lets everything through. */
export function makeGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  return {
    pass: () => {
      count++;
      return promise;
    },
    arrived: () => count,
    open: resolve,
  };
}

/** The same database, with its transactions counted. */
export function countTransactions(database: Database): { database: Database; transactions(): number } {
  let count = 0;
  return {
    database: {
      ...database,
      transaction: (work, options) => {
        count++;
        return database.transaction(work, options);
      },
    },
    transactions: () => count,
  };
}
