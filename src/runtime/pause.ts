// A pause that a stop ends early.
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves after `ms`, or when `stopping` is aborted. Keeps the process alive: a worker that waits for its database has
 * nothing else.
 */
export async function pause(ms: number, stopping: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal: stopping });
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
}
