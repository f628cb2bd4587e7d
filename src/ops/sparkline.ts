// The arrivals of 24 hours as small bars, drawn on the server: no script, no style.
import type { HourOfStarts } from '../events/processes.ts';
import type { HourOfArrivals } from '../events/source-overview.ts';
import { type Html, html } from './html.ts';
import { number } from './parts.ts';

const hourMs = 3_600_000;
const hours = 24;
const [barWidth, gap, height] = [4, 1, 28];
const markHeight = 5;

/**
 * The last bar is the current hour. The part of an hour's events that are dead letters is drawn on top; a mark below an hour
 * in which processes started, which is most often a deploy.
 */
export function sparkline(
  counts: readonly HourOfArrivals[],
  starts: readonly HourOfStarts[],
  now: Date,
): Html {
  const thisHour = Math.floor(now.getTime() / hourMs);
  const placeOf = (hour: Date) => hours - 1 - (thisHour - Math.floor(hour.getTime() / hourMs));
  const bars = Array.from({ length: hours }, () => ({ received: 0, failed: 0 }));
  for (const { hour, received, failed } of counts) {
    const bar = bars[placeOf(hour)];
    if (bar) {
      bar.received += received;
      bar.failed += failed;
    }
  }
  const most = Math.max(...bars.map(({ received }) => received));
  const total = bars.reduce((sum, { received }) => sum + received, 0);
  const shown = starts.filter(({ hour }) => placeOf(hour) >= 0 && placeOf(hour) < hours);
  const label = [
    `${number(total)} events in 24 hours, at most ${number(most)} in an hour`,
    ...shown.map(startText),
  ].join('; ');
  return html`<svg class="spark" viewBox="0 0 ${hours * (barWidth + gap) - gap} ${height + markHeight}" role="img" aria-label="${label}"><title>${label}</title>${bars.map(
    (bar, index) => barOf(bar, index * (barWidth + gap), most),
  )}${shown.map(({ hour }) => mark(placeOf(hour) * (barWidth + gap)))}</svg>`;
}

/** E.g. `web and worker started after 14:00Z, version 0.3.0`. */
const startText = ({ hour, kinds, versions }: HourOfStarts): string =>
  `${kinds.join(' and ')} started after ${hour.toISOString().slice(11, 16)}Z, version ${versions.slice(0, 3).join(', ')}`;

/** A triangle that points at the bar. */
const mark = (x: number): Html =>
  html`<path class="start" d="M${x} ${height + markHeight}h${barWidth}l-${barWidth / 2}-${markHeight - 1}Z"/>`;

function barOf({ received, failed }: { received: number; failed: number }, x: number, most: number): Html {
  const heightOf = (count: number) =>
    count === 0 || most === 0 ? 0 : Math.max(1, Math.round((count / most) * height));
  const [all, dead] = [heightOf(received), heightOf(Math.min(failed, received))];
  const rect = (name: string, top: number, size: number) =>
    html`<rect class="${name}" x="${x}" y="${top}" width="${barWidth}" height="${size}"/>`;
  if (all === 0) return rect('none', height - 1, 1);
  return html`${rect('all', height - all, all)}${dead > 0 && rect('dead', height - all, dead)}`;
}
