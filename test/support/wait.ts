// Waiting for a condition instead of for a time.
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';

/**
 * How long a test waits for what has to come. It only ends a test that hangs, with a word on what was missing: so it is far
 * beyond what a machine of two busy cores needs, and says nothing on speed.
 */
export const patienceMs = 300_000;

/**
 * Asks `condition` until it gives something truthy and returns that. An error it throws counts as "not yet" and
 * is named when the time is over.
 * @param options.what completes "waited for …"
 * @param options.timeoutMs default: `patienceMs`
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: { what: string; timeoutMs?: number; intervalMs?: number },
): Promise<NonNullable<T>> {
  const { what, timeoutMs = patienceMs, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    let isError = false;
    try {
      const value = await condition();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
      isError = true;
    }
    if (performance.now() > deadline) {
      const seen = `${isError ? 'the last error' : 'the last value'} was ${inspect(last, { depth: 4 })}`;
      throw new Error(`waited ${timeoutMs} ms for ${what}; ${seen}`, isError ? { cause: last } : {});
    }
    await delay(intervalMs);
  }
}
