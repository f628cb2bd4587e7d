// Lists the pauses. A pause that nobody ends is an outage of the team's own.

import { describePause, scopeText } from '../events/pause-texts.ts';
import { countWaiting, type PauseInForce } from '../events/pauses.ts';
import type { Handler } from '../handlers/handler.ts';
import { didYouMean } from '../providers/index.ts';
import { type Check, type CheckContext, needsPerson, ok, warn } from './check.ts';

const longMs = 86_400_000;

/** @param handlers as the worker loads them; empty: not known */
export async function checkPauses(
  handlers: readonly Handler[],
  { database }: Pick<CheckContext, 'database'>,
  now: Date = new Date(),
): Promise<Check[]> {
  const pauses = await countWaiting(database);
  if (pauses.length === 0) return [ok('pauses', 'none')];
  return pauses.map((pause) => checkPause(pause, handlers, now));
}

function checkPause(pause: PauseInForce, handlers: readonly Handler[], now: Date): Check {
  const { handler, pausedAt } = pause;
  const text = describePause(pause, now);
  const names = handlers.flatMap(({ name }) => name ?? []);
  const resume = `postbell resume ${scopeText(pause)}`;
  if (handler !== null && handlers.length > 0 && !names.includes(handler)) {
    const hint = didYouMean(handler, names);
    return warn('pauses', `${text}; no handler has the name ${handler}${hint}`, `end it: ${resume}`);
  }
  if (now.getTime() - pausedAt.getTime() < longMs) return ok('pauses', text);
  return needsPerson(warn('pauses', `${text}; it is older than a day`, `if it was forgotten: ${resume}`));
}
