// The arrivals of 24 hours as small bars, drawn on the server: no script, no style.
import type { HourOfArrivals } from '../events/source-overview.ts';
import { type Html, html } from './html.ts';
import { number } from './parts.ts';

const hourMs = 3_600_000;
const hours = 24;
const [barWidth, gap, height] = [4, 1, 28];

/** The last bar is the current hour. The part of an hour's events that are dead letters is drawn on top. */
export function sparkline(counts: readonly HourOfArrivals[], now: Date): Html {
  const thisHour = Math.floor(now.getTime() / hourMs);
  const bars = Array.from({ length: hours }, () => ({ received: 0, failed: 0 }));
  for (const { hour, received, failed } of counts) {
    const bar = bars[hours - 1 - (thisHour - Math.floor(hour.getTime() / hourMs))];
    if (bar) {
      bar.received += received;
      bar.failed += failed;
    }
  }
  const most = Math.max(...bars.map(({ received }) => received));
  const total = bars.reduce((sum, { received }) => sum + received, 0);
  const label = `${number(total)} events in 24 hours, at most ${number(most)} in an hour`;
  return html`<svg class="spark" viewBox="0 0 ${hours * (barWidth + gap) - gap} ${height}" role="img" aria-label="${label}"><title>${label}</title>${bars.map(
    (bar, index) => barOf(bar, index * (barWidth + gap), most),
  )}</svg>`;
}

function barOf({ received, failed }: { received: number; failed: number }, x: number, most: number): Html {
  const heightOf = (count: number) =>
    count === 0 || most === 0 ? 0 : Math.max(1, Math.round((count / most) * height));
  const [all, dead] = [heightOf(received), heightOf(Math.min(failed, received))];
  const rect = (name: string, top: number, size: number) =>
    html`<rect class="${name}" x="${x}" y="${top}" width="${barWidth}" height="${size}"/>`;
  if (all === 0) return rect('none', height - 1, 1);
  return html`${rect('all', height - all, all)}${dead > 0 && rect('dead', height - all, dead)}`;
}
