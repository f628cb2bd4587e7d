// As a platform does it: whatever ends is started again.
import { setTimeout as delay } from 'node:timers/promises';
import type { TestProcess } from '../../support/processes.ts';

export interface Supervisor<P extends TestProcess> {
  /** Those that are ready. */
  running(): P[];
  /** Times at which something ended, as performance.now(). */
  ends: number[];
  /** Longest time from an end to being ready again, in ms. */
  longestRestartMs(): number;
  /** Starts nothing more; what runs goes on. */
  stop(): Promise<void>;
}

export async function supervise<P extends TestProcess>(
  count: number,
  start: () => Promise<P>,
): Promise<Supervisor<P>> {
  const running = new Set<P>();
  const ends: number[] = [];
  let longestMs = 0;
  let isStopped = false;

  async function once(endedAt: number | undefined): Promise<P | undefined> {
    try {
      const process = await start();
      running.add(process);
      if (endedAt !== undefined) longestMs = Math.max(longestMs, performance.now() - endedAt);
      return process;
    } catch {
      await delay(200); // it ended before it was ready
      return undefined;
    }
  }
  async function slot(first: P | undefined): Promise<void> {
    let process = first;
    let endedAt: number | undefined;
    while (!isStopped) {
      if (process) {
        await Promise.race([process.exited, stopped]);
        if (isStopped) return;
        running.delete(process);
        endedAt = performance.now();
        ends.push(endedAt);
      }
      process = await once(endedAt);
    }
  }
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const firsts = await Promise.all(Array.from({ length: count }, () => once(undefined)));
  const slots = firsts.map((first) => slot(first));
  return {
    running: () => [...running],
    ends,
    longestRestartMs: () => Math.round(longestMs),
    stop: async () => {
      isStopped = true;
      resolve();
      await Promise.all(slots);
    },
  };
}
