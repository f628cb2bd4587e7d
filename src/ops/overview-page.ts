// The first page: what is wrong now in one sentence, then each source, the processes, recovering, and replays and promotions that were
// left unfinished.
import type { FastifyInstance } from 'fastify';
import type { OperatorAction } from '../events/operator-actions.ts';
import { describeProcesses } from '../events/process-texts.ts';
import type { KindOfProcess } from '../events/processes.ts';
import type { Arrivals } from '../events/source-overview.ts';
import { countText, latencyText } from '../texts.ts';
import { alertList } from './alerts.ts';
import { describeFilter } from './event-filter.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number, slowBanner, waited } from './parts.ts';
import { pauseForm, pauseSection } from './pauses.ts';
import { type Overview, readOverview, type SourceState } from './read-overview.ts';
import { recoveryList } from './recoveries.ts';
import { sparkline } from './sparkline.ts';
import { opsUrl } from './urls.ts';
import { findProblems, type Problem } from './what-is-wrong.ts';

export function addOverviewPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/', async (request, reply) => {
    const overview = await readOverview(deps);
    const now = deps.now();
    const mayChange = signedInUser(request).role === 'operator';
    const main = html`${headline(findProblems(overview, now), overview.slow.length === 0)}
${overview.slow.length > 0 && slowBanner(`${overview.slow.join(' and ')} are missing here.`)}
${sourceTable(overview, mayChange, now)}
<div class="columns">${alertList(overview.alerts, now)}${pauseSection(overview.pauses, mayChange, now)}${processList(overview.processes)}${recoveryList(overview.recoveries, deps.schedule, now)}${openActionList(overview.openActions)}</div>`;
    return sendPage(request, reply, { title: 'Overview', nav: '', main, isLive: true });
  });
}

function headline([first, ...others]: readonly Problem[], isComplete: boolean): Html {
  if (!first && !isComplete) return html`<h1 class="state warn">Not all is known now.</h1>`;
  if (!first)
    return html`<h1 class="state good">All is well.</h1><p class="under">No dead letter, no event that waits too long, every process alive.</p>`;
  const link = ({ text, url }: Problem) => html`<a href="${url}">${text}</a>`;
  return html`<h1 class="state ${first.isSevere ? 'bad' : 'warn'}">${link(first)}</h1>
${others.length > 0 && html`<ul class="also">${others.map((problem) => html`<li>${link(problem)}</li>`)}</ul>`}`;
}

function sourceTable({ sources, pauses, starts }: Overview, mayChange: boolean, now: Date): Html {
  if (sources.length === 0)
    return html`<p class="empty">No source is on yet: set <code>&lt;SOURCE&gt;_WEBHOOK_SECRET</code>.</p>`;
  return html`<table class="list sources">
<caption class="hidden">The state of each source</caption>
<thead><tr><th>Source</th><th>Last arrival</th><th>24 hours</th><th class="number" title="From arrival to the handler’s commit, of the last 24 hours: half of the events, and 99 of 100">p50, p99</th><th class="number">Pending</th><th>Oldest</th><th class="number">Retrying</th><th class="number">Dead</th><th class="number">Rejected, 24 h</th>${mayChange && html`<th><span class="hidden">Change</span></th>`}</tr></thead>
<tbody>${sources.map((state) => sourceRow(state, { pauses, starts }, mayChange, now))}</tbody></table>`;
}

const unknown = html`<span class="none" title="The database took too long">?</span>`;
const none = html`<span class="none">–</span>`;

function sourceRow(
  { source, arrivals, backlog, dead, rejected }: SourceState,
  { pauses, starts }: Pick<Overview, 'pauses' | 'starts'>,
  mayChange: boolean,
  now: Date,
): Html {
  const count = (value: number | undefined, url: string, name: string) =>
    value === undefined
      ? unknown
      : value === 0
        ? html`<span class="none">0</span>`
        : html`<a class="${name}" href="${url}">${number(value)}</a>`;
  const pending = opsUrl('/events', { source, status: 'PENDING' });
  const oldest = backlog?.oldestReceivedAt;
  const last = arrivals?.lastReceivedAt;
  const isPaused = pauses.some((pause) => pause.source === source && !pause.topic && !pause.handler);
  return html`<tr>
<td data-label="Source"><a href="${opsUrl('/events', { source })}"><strong>${source}</strong></a>${isPaused && html` <span class="tag">paused</span>`}</td>
<td data-label="Last arrival">${!arrivals ? unknown : last ? ago(last, now) : html`<span class="none">none in 7 days</span>`}</td>
<td data-label="24 hours">${arrivals ? sparkline(arrivals.hours, starts, now) : unknown}</td>
<td data-label="p50, p99" class="number">${arrivals ? latencyOf(arrivals) : unknown}</td>
<td data-label="Pending" class="number">${count(backlog?.pending, pending, 'pending')}</td>
<td data-label="Oldest">${!backlog ? unknown : oldest ? waited(oldest, now) : none}</td>
<td data-label="Retrying" class="number">${count(backlog?.retrying, pending, 'retrying')}</td>
<td data-label="Dead" class="number">${count(dead, opsUrl('/dead-letters', { source }), 'dead')}</td>
<td data-label="Rejected, 24 h" class="number">${count(rejected?.rejected, opsUrl('/rejections', { source }), 'rejected')}</td>
${mayChange && html`<td class="change">${!isPaused && pauseForm(source)}</td>`}
</tr>
`;
}

function latencyOf({ p50Seconds, p99Seconds }: Pick<Arrivals, 'p50Seconds' | 'p99Seconds'>): Html {
  if (p50Seconds === null) return none;
  return html`${latencyText(p50Seconds)}, ${latencyText(p99Seconds)}`;
}

function processList(processes: readonly KindOfProcess[]): Html {
  const item = (some: KindOfProcess) =>
    html`<dt>${some.kind}</dt><dd><span class="dot ${some.alive > 0 ? 'good' : 'bad'}"></span>${describeProcesses(some)}</dd>`;
  return html`<section><h2>Processes</h2><dl class="facts">${processes.map(item)}</dl></section>`;
}

function openActionList(actions: readonly OperatorAction[]): Html | undefined {
  if (actions.length === 0) return undefined;
  return html`<section><h2>Unfinished replays and promotions</h2><ul class="plain">${actions.map(
    ({ id, action, done, matched, filter, operator }) =>
      html`<li><a href="${opsUrl('/action', { id })}">${number(done)} of ${action === 'promote' ? countText(matched, 'request') : countText(matched, 'event')}</a> ${action === 'promote' ? `Quarantine of ${filter.source}` : describeFilter(filter)} <span class="hint">begun by ${operator}</span></li>`,
  )}</ul></section>`;
}
