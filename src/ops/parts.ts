// Pieces that several pages show: times, statuses, banners, fields of forms.
import type { EventStatus } from '../events/event.ts';
import { durationText, timeText, untilText } from '../texts.ts';
import { type Html, html } from './html.ts';

/** `4 min ago`, with the time itself on hover. */
export function ago(time: Date | null, now: Date): Html {
  if (!time) return html`<span class="none">–</span>`;
  const seconds = Math.max(0, (now.getTime() - time.getTime()) / 1_000);
  return timeElement(time, `${durationText(seconds)} ago`);
}

/** `in 4 min`, or `now`. */
export const until = (time: Date, now: Date): Html => timeElement(time, untilText(time, now));

/** The time itself. */
export const at = (time: Date): Html => timeElement(time, timeText(time));

const timeElement = (time: Date, text: string): Html =>
  html`<time datetime="${time.toISOString()}" title="${timeText(time)}">${text}</time>`;

/** How long something has waited. */
export const waited = (since: Date, now: Date): string =>
  durationText(Math.max(0, (now.getTime() - since.getTime()) / 1_000));

const statusClasses: Record<EventStatus, string> = {
  PENDING: 'pending',
  PROCESSED: 'processed',
  FAILED: 'failed',
  IGNORED: 'ignored',
};

/** An event that failed and comes again looks different from a new one and from a dead one. */
export function statusPill(status: EventStatus, attempts: number): Html {
  if (status === 'PENDING' && attempts > 0) return html`<span class="pill retrying">PENDING, retrying</span>`;
  return html`<span class="pill ${statusClasses[status]}">${status}</span>`;
}

export const slowBanner = (remedy: string | Html): Html =>
  html`<p class="banner warn" role="status">The database took longer than 3 s: ${remedy}</p>`;

export const number = (value: number): string => value.toLocaleString('en-US');

/** The button appears where JavaScript can copy; the text can be selected in any case. */
export const copyable = (text: string, what: string): Html =>
  html`<div class="copyable"><button type="button" class="quiet copy" hidden aria-label="Copy the ${what}">Copy</button><pre class="body" tabindex="0">${text}</pre></div>`;
