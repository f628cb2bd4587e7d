// A change of many rows in slices, each of which is committed: a request does some of them, and the page of the action asks for the next.
import { SlowError } from './inbox.ts';
import { opsUrl } from './urls.ts';

/** Time limit of one request. The event loop stays free. */
const partMs = 1_000;

/**
 * Goes on with an action for a second.
 * @param next does the next slice; false: the action has ended
 * @returns the address of the action's page, also where a slice took too long: the slices before it stay
 */
export async function goOn(id: number, next: () => Promise<boolean>): Promise<string> {
  const until = performance.now() + partMs;
  try {
    while ((await next()) && performance.now() < until);
  } catch (error) {
    if (error instanceof SlowError) return opsUrl('/action', { id, slow: 1 });
    throw error;
  }
  return opsUrl('/action', { id });
}
