// The quarantine on the page of rejections; an operator promotes its requests here, in slices.
import type { FastifyInstance } from 'fastify';
import { beginAction, readPromotion, recordPromoted } from '../events/operator-actions.ts';
import { type QuarantineState, readQuarantine } from '../events/quarantine.ts';
import { variableOf } from '../providers/sources.ts';
import { addCounts, nothingPromoted, type PromoteCounts, promoteSlice } from '../receive/promote.ts';
import { bytesText, countText } from '../texts.ts';
import { OpsError } from './errors.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number } from './parts.ts';
import { goOn } from './slices.ts';
import { formOf, opsUrl } from './urls.ts';

export function addQuarantineActions(app: FastifyInstance, deps: PageDeps): void {
  app.post('/quarantine', async (request, reply) => {
    const source = formOf(request).get('source') ?? '';
    if (!deps.sources.has(source)) throw withoutSecret(source);
    const { name: operator } = signedInUser(request);
    const id = await deps.inbox.change(async (tx) => {
      const [state] = await readQuarantine(tx, source);
      if (!state || state.requests === 0) throw new OpsError(404, `Nothing of ${source} is in quarantine.`);
      return beginAction(tx, 'promote', { operator, filter: { source }, matched: state.requests });
    });
    return reply.redirect(await promotePart(deps, id), 303);
  });
}

const withoutSecret = (source: string) =>
  new OpsError(400, `The source ${source} has no secret here: nothing can be verified.`);

/**
 * Goes on with a promotion for a second. A request is deleted only once its events are committed.
 * @throws OpsError (400) @returns the address of its page
 */
export function promotePart({ inbox, sources, storesRawBody, log }: PageDeps, id: number): Promise<string> {
  return goOn(id, async () => {
    const promotion = await inbox.read((tx) => readPromotion<PromoteCounts>(tx, id));
    if (!promotion || promotion.isEnded) return false;
    const found = sources.get(promotion.source);
    if (!found) throw withoutSecret(promotion.source);
    // A copy has caches of its own: the times of arrival are no clock for the keys that receiving has fetched.
    const source = { ...found };
    const { after, counts } = promotion.progress ?? { after: '0', counts: nothingPromoted };
    const receiver = await inbox.receiver();
    const slice = await promoteSlice({ database: inbox, receiver, log, source, storesRawBody }, after);
    const sum = slice ? addCounts(counts, slice.counts) : counts;
    await inbox.change((tx) =>
      recordPromoted(tx, id, promotion.progress, {
        progress: slice ? { after: slice.last, counts: sum } : promotion.progress,
        done: sum.promoted + sum.ignored + sum.known + sum.withoutEvent,
        isLast: slice === undefined,
      }),
    );
    return slice !== undefined;
  });
}

/** @param mayPromote false: the user may read only */
export function quarantineList(
  states: readonly QuarantineState[],
  { sources, now }: Pick<PageDeps, 'sources' | 'now'>,
  mayPromote: boolean,
): Html | undefined {
  if (states.length === 0) return undefined;
  const items = states.map((state) => {
    const { source, requests, oldestAt, refused } = state;
    const isOn = sources.has(source);
    return html`<li class="card"><p class="count">${number(requests)}</p>
<div class="what"><p><strong>${source}</strong> ${state.reasons.map(({ reason }) => html`<code>${reason}</code> `)}</p>
<p class="remedy">Correct ${variableOf(source)}_WEBHOOK_SECRET, restart web, then promote: Postbell accepts the requests that the secret verifies, and keeps the others.</p>
<p class="hint">${bytesText(state, sources.get(source))}${oldestAt && html`, the oldest ${ago(oldestAt, now())}`}${refused > 0 && `; ${countText(refused, 'request')} not kept for want of room`}</p>
${mayPromote && isOn && requests > 0 && html`<form method="post" action="${opsUrl('/quarantine')}" data-begins><input type="hidden" name="source" value="${source}"><button>Promote ${countText(requests, 'request')}</button></form>`}</div></li>
`;
  });
  return html`<section><h2>Quarantine</h2><p class="under">Rejected requests that are kept. Nobody has verified them.</p><ul class="groups">${items}</ul></section>`;
}
