// results.svg: bar charts for the README, readable on light and dark pages.
import type { System } from '../systems/system.ts';
import type { Results } from './results.ts';
import { summariseAccept, summariseBurst, summariseProcess } from './summary.ts';

interface Bar {
  label: string;
  value: number;
  isOurs: boolean;
}

const width = 880;
const labelWidth = 430;
const valueWidth = 80;
const barHeight = 22;
const rowHeight = 30;
const panelGap = 34;

export function chart(results: Results, systems: readonly System[]): string {
  const accept = summariseAccept(results, systems);
  const connections = accept.some((row) => row.connections === 256) ? 256 : (accept[0]?.connections ?? 0);
  const panels = [
    {
      title: `Accepted a second, ${connections} connections`,
      bars: accept.filter((row) => row.connections === connections).map(barOf),
    },
    {
      title: 'Processed a second, each event one row',
      bars: summariseProcess(results, systems).map(barOf),
    },
    {
      title:
        'A burst: accepted and processed at once, events a second from the first request to the last row',
      bars: summariseBurst(results, systems).map(barOf),
    },
  ].filter(({ bars }) => bars.length > 0);

  let y = 10;
  const drawn = panels.map(({ title, bars }) => {
    const text = panel(title, bars, y);
    y += 30 + bars.length * rowHeight + panelGap;
    return text;
  });
  const { machine, isQuick } = results;
  const caption = machine
    ? `${isQuick ? 'Quick run: figures mean nothing. ' : ''}${machine.cores} cores shared by system, Postgres ${machine.versions.Postgres} (fsync on) or Redis, and load generator; 1 KB signed Stripe events; ${machine.date.slice(0, 10)}`
    : '';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 4}" width="${width}" height="${y + 4}" role="img" aria-label="${escapeXml(panels.map(({ title, bars }) => `${title}: ${bars.map(({ label, value }) => `${label} ${format(value)}`).join('; ')}`).join('. '))}">
<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .caption { font-size: 11px; fill: #59636e; }
  .bar { fill: #b6bec8; }
  .ours { fill: #1a7f64; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .caption { fill: #9198a1; }
    .bar { fill: #4b535d; }
    .ours { fill: #2ea583; }
  }
</style>
${drawn.join('\n')}
<text class="caption" x="0" y="${y - 8}">${escapeXml(caption)}</text>
</svg>
`;
}

function barOf({ title, perSecond, system }: { title: string; perSecond: number; system: string }): Bar {
  return { label: title, value: perSecond, isOurs: system === 'postbell' };
}

function panel(title: string, bars: readonly Bar[], top: number): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const lines = bars.map(({ label, value, isOurs }, index) => {
    const y = top + 30 + index * rowHeight;
    const length = Math.max(2, (value / longest) * (width - labelWidth - valueWidth));
    const baseline = y + barHeight - 6;
    return [
      `<text x="${labelWidth - 10}" y="${baseline}" text-anchor="end">${escapeXml(short(label))}</text>`,
      `<rect class="${isOurs ? 'ours' : 'bar'}" x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="3"/>`,
      `<text x="${(labelWidth + length + 8).toFixed(1)}" y="${baseline}">${format(value)}</text>`,
    ].join('\n');
  });
  return [`<text class="title" x="0" y="${top + 14}">${escapeXml(title)}</text>`, ...lines].join('\n');
}

const format = (value: number) => Math.round(value).toLocaleString('en-US');
/** The label's column holds so much. */
const short = (label: string) => (label.length > 60 ? `${label.slice(0, 59)}…` : label);
const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
