// Why deliveries were rejected, and the remedy: what `postbell doctor` says.
import type { FastifyInstance } from 'fastify';
import { readQuarantine } from '../events/quarantine.ts';
import { keptRejections, listRejections, type RejectedRequest } from '../events/rejected-requests.ts';
import { groupRejections, type RejectionGroup } from '../receive/rejection-remedies.ts';
import { countText } from '../texts.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import { orSlow } from './inbox.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number, slowBanner } from './parts.ts';
import { quarantineList } from './quarantine.ts';
import { opsUrl, textsOf } from './urls.ts';

const shownRequests = 50;

export function addRejectionsPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/rejections', async (request, reply) => {
    const source = textsOf(request, 'source')[0]?.replaceAll('\0', '') || undefined;
    const rejected = await deps.inbox.read((tx) => listRejections(tx, source, keptRejections));
    const quarantine = await orSlow(deps.inbox.read((tx) => readQuarantine(tx, source)));
    const mayPromote = signedInUser(request).role === 'operator';
    const groups = groupRejections(rejected, deps);
    const now = deps.now();
    const main = html`<h1>Rejections${source && ` of ${source}`}</h1>
<p class="under">Requests that Postbell did not accept. A sample: of each source at most one a second is written, and the newest ${number(keptRejections)} are kept.
${source && html`<a href="${opsUrl('/rejections')}">All sources</a>`}</p>
${quarantine ? quarantineList(quarantine, deps, mayPromote) : slowBanner('postbell quarantine lists what is kept.')}
${groups.length > 0 ? html`<h2>By reason</h2><ul class="groups">${groups.map((group) => groupItem(group, now))}</ul>${requestTable(rejected, now)}` : html`<p class="empty">No request was rejected.</p>`}`;
    return sendPage(request, reply, { title: 'Rejections', nav: '/rejections', main, isLive: true });
  });
}

function groupItem({ rejected, remedy }: RejectionGroup, now: Date): Html {
  const [newest] = rejected as [RejectedRequest];
  const { source, reason, detail, receivedAt } = newest;
  return html`<li class="card"><p class="count">${number(rejected.length)}</p>
<div class="what"><p><a href="${opsUrl('/rejections', { source })}" data-row><strong>${source}</strong></a> <code>${reason}</code>${detail !== null && ` ${detail}`}</p>
<p class="remedy">${remedy}</p><p class="hint">last ${ago(receivedAt, now)}</p></div></li>
`;
}

function requestTable(rejected: readonly RejectedRequest[], now: Date): Html {
  const rows = rejected.slice(0, shownRequests).map(
    ({ receivedAt, source, reason, detail, bodyBytes, requestId, skipped }) => html`<tr>
<td data-label="Received">${ago(receivedAt, now)}</td><td data-label="Source">${source}</td>
<td data-label="Reason"><div>${reason}${detail !== null && ` (${detail})`}${skipped > 0 && html` <span class="hint">and ${countText(skipped, 'request')} of ${source} since the one before</span>`}</div></td>
<td data-label="Bytes" class="number">${number(bodyBytes)}</td><td data-label="Request"><span class="id">${requestId}</span></td></tr>
`,
  );
  return html`<h2>The newest requests</h2><table class="list"><thead><tr><th>Received</th><th>Source</th><th>Reason</th><th class="number">Bytes</th><th>Request</th></tr></thead>
<tbody>${rows}</tbody></table>`;
}
