// A pause in one sentence, and its scope as the command line takes it.
import { shellQuoted } from '../printable.ts';
import { countText, durationText, timeText } from '../texts.ts';
import type { PauseInForce, PauseScope } from './pauses.ts';

/** E.g. `shopify --topic 'orders/*'`: the arguments of `pause` and `resume`. */
export function scopeText({ source, topic, handler }: PauseScope): string {
  const parts = [
    source,
    topic === null ? null : `--topic ${shellQuoted(topic)}`,
    handler === null ? null : `--handler ${handler}`,
  ];
  return parts.filter((part) => part !== null).join(' ');
}

/** E.g. `shopify since 2026-11-29 12:00:00Z (3 h) by ada, 12 events wait, the oldest for 2 h: the warehouse is down`. */
export function describePause(pause: PauseInForce, now: Date = new Date()): string {
  const age = (time: Date) => durationText(Math.max(0, now.getTime() - time.getTime()) / 1_000);
  const { pausedAt, pausedBy, waiting, oldestReceivedAt, reason } = pause;
  const waits = `${countText(waiting, 'event')} wait${waiting === 1 ? 's' : ''}`;
  const oldest = oldestReceivedAt ? `, the oldest for ${age(oldestReceivedAt)}` : '';
  const why = reason === null ? '' : `: ${reason}`;
  return `${scopeText(pause)} since ${timeText(pausedAt)} (${age(pausedAt)}) by ${pausedBy}, ${waits}${oldest}${why}`;
}
