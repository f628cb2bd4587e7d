// Writes counts that are collected in memory, again and again while there are some: nobody who counts waits for the database.
import { setTimeout as delay } from 'node:timers/promises';

export interface CountingLoop {
  /** To be called after each count. */
  wake(): void;
  /** No write begins from now on. Resolves when the one in hand has ended; what is left is the caller's to write. */
  stop(): Promise<void>;
}

export interface CountingLoopOptions {
  hasCounts(): boolean;
  /** How long counts are collected before the first write, in ms. */
  collectMs: number;
  /** Never rejects. @returns the pause before the next write, in ms */
  write(): Promise<number>;
}

export function createCountingLoop({ hasCounts, collectMs, write }: CountingLoopOptions): CountingLoop {
  const closing = new AbortController();
  const { signal } = closing;
  let writing: Promise<void> | undefined;

  async function writeAll(): Promise<void> {
    for (let pauseMs = collectMs; hasCounts() && !signal.aborted; ) {
      await delay(pauseMs, undefined, { signal }).catch(() => {}); // aborted: the caller of `stop` writes
      if (!signal.aborted) pauseMs = await write();
    }
    writing = undefined;
  }

  return {
    wake: () => {
      if (hasCounts() && !signal.aborted) writing ??= writeAll();
    },
    stop: async () => {
      closing.abort();
      await writing;
    },
  };
}
