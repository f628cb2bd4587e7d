// The processes of a kind in one sentence.
import { durationText } from '../texts.ts';
import type { KindOfProcess } from './processes.ts';

/** E.g. `2 alive, version 0.2.0`, or `none alive; the last, on web.1, gave no sign of life for 3 h`. */
export function describeProcesses({ kind, alive, last }: KindOfProcess): string {
  if (!last) return `no ${kind} has reached this database yet`;
  if (alive > 0) return `${alive} alive, version ${last.version}`;
  const ago = durationText(last.seenSecondsAgo);
  if (last.wasStopped) return `none alive; the last, on ${last.host}, was stopped ${ago} ago`;
  return `none alive; the last, on ${last.host}, gave no sign of life for ${ago}`;
}
