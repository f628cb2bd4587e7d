// What operators changed, and how far a replay is.
import type { FastifyInstance } from 'fastify';
import {
  findAction,
  listActions,
  type OperatorAction,
  type OperatorActionKind,
  readPromotion,
} from '../events/operator-actions.ts';
import type { PromoteCounts } from '../receive/promote.ts';
import { countText } from '../texts.ts';
import { OpsError } from './errors.ts';
import { describeFilter } from './event-filter.ts';
import { eventUrl } from './events-page.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number, slowBanner } from './parts.ts';
import { opsUrl, textsOf } from './urls.ts';

const shownActions = 100;
const words: Record<OperatorActionKind, string> = {
  replay: 'Replay',
  run_now: 'Run now',
  ignore: 'Ignore',
  promote: 'Promote',
  erase: 'Erase',
  pause: 'Pause',
  resume: 'Resume',
  rehearse: 'Rehearse',
  capture: 'Show live requests',
  end_capture: 'End live requests',
  resend: 'Send an edited request',
};

export function addActionPages(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/actions', async (request, reply) => {
    const actions = await deps.inbox.read((tx) => listActions(tx, { limit: shownActions }));
    const now = deps.now();
    const list = html`<table class="list"><thead><tr><th>When</th><th>Who</th><th>Action</th><th>Events</th><th class="number">Done</th></tr></thead>
<tbody>${actions.map((action) => actionRow(action, now))}</tbody></table>`;
    const main = html`<h1>Actions</h1>
<p class="under">What operators changed on this page, or erased. Names are as typed at sign-in.</p>
${actions.length > 0 ? list : html`<p class="empty">Nobody has changed anything yet.</p>`}`;
    return sendPage(request, reply, { title: 'Actions', nav: '/actions', main });
  });

  app.get('/action', async (request, reply) => {
    const id = Number(textsOf(request, 'id')[0]);
    const action = Number.isSafeInteger(id) ? await deps.inbox.read((tx) => findAction(tx, id)) : undefined;
    if (action?.action !== 'replay' && action?.action !== 'promote')
      throw new OpsError(404, 'There is no such action.');
    const mayGoOn = signedInUser(request).role === 'operator';
    const promotion = await deps.inbox.read((tx) => readPromotion<PromoteCounts>(tx, id));
    const state =
      action.action === 'promote' ? promotionState(action, promotion?.progress?.counts) : replayState(action);
    const isSlow = !action.endedAt && textsOf(request, 'slow').length > 0;
    const main = html`<h1>${words[action.action]}</h1>${isSlow && slowBanner('the last part was not done, those before it were. Go on when the database is well.')}
${progress(action, state, { mayGoOn, isSlow }, deps.now())}`;
    return sendPage(request, reply, { title: words[action.action], nav: '/actions', main, isLive: true });
  });
}

function actionRow(action: OperatorAction, now: Date): Html {
  const { id, operator, action: kind, filter, reason, matched, done, beganAt, endedAt } = action;
  const { source, eventId } = filter;
  const isCapture = kind === 'capture' || kind === 'end_capture';
  const events = isCapture
    ? html`<a href="${opsUrl('/requests', { source })}">of ${source}</a>`
    : source !== undefined && eventId !== undefined
      ? html`<a class="id" href="${eventUrl({ source, eventId })}">${eventId}</a><span class="hint">of ${source}</span>`
      : action.action === 'erase'
        ? describeFilter(filter)
        : html`<a href="${opsUrl('/action', { id })}">${action.action === 'promote' ? `quarantine of ${source}` : describeFilter(filter)}</a>`;
  return html`<tr><td data-label="When">${ago(beganAt, now)}</td><td data-label="Who">${operator}</td>
<td data-label="Action">${words[kind]}</td><td data-label="Events"><div>${events}${reason && html`<br><span class="hint">${reason}</span>`}</div></td>
<td data-label="Done" class="number"><div>${isCapture ? '' : number(done)}${done < matched && html` of ${number(matched)}`}${!endedAt && html` <span class="tag">unfinished</span>`}</div></td></tr>
`;
}

function progress(
  action: OperatorAction,
  state: Html,
  { mayGoOn, isSlow }: { mayGoOn: boolean; isSlow: boolean },
  now: Date,
): Html {
  const { id, operator, filter, matched, done, beganAt, endedAt } = action;
  const isPromotion = action.action === 'promote';
  // Without JavaScript a person presses the button for each part; with it the form sends itself, unless the database is slow.
  const goOn =
    !endedAt && mayGoOn
      ? html`<form method="post" action="${opsUrl('/action', { id })}" ${!isSlow && html`data-go-on`}><button class="primary">Go on</button></form>`
      : undefined;
  const back = isPromotion
    ? html`<a href="${opsUrl('/rejections')}">Rejections</a>`
    : html`<a href="${opsUrl('/dead-letters')}">Dead letters</a>`;
  return html`<div class="card question">${state}
<progress value="${done}" max="${Math.max(1, matched)}" aria-label="${isPromotion ? 'Promoted requests' : 'Replayed events'}"></progress>
<p class="hint">${isPromotion ? `Quarantine of ${filter.source}` : describeFilter(filter)}. Begun by ${operator} ${ago(beganAt, now)}.</p>
<div class="actions">${goOn}${back}<a href="${opsUrl('')}">Overview</a></div></div>`;
}

function replayState({ matched, done, endedAt }: OperatorAction): Html {
  const left = matched - done;
  return endedAt
    ? html`<p class="big">${countText(done, 'event')} ${done === 1 ? 'is' : 'are'} PENDING again; a running worker takes them at once.</p>
${left > 0 && html`<p>${countText(left, 'event')} fewer than counted: another session holds or has changed them. Look at the list again.</p>`}`
    : html`<p class="big">${number(done)} of ${countText(matched, 'event')} so far.</p>`;
}

/** @param counts undefined: before the first slice */
function promotionState({ matched, done, endedAt, filter }: OperatorAction, counts?: PromoteCounts): Html {
  if (!endedAt) return html`<p class="big">${number(done)} of ${countText(matched, 'request')} so far.</p>`;
  const { wrong = 0, unavailable = 0, ignored = 0 } = counts ?? {};
  const stay = (count: number) => `${countText(count, 'request')} stay${count === 1 ? 's' : ''}`;
  return html`<p class="big">${number(done)} of ${countText(matched, 'request')} left the quarantine; a running worker runs their events.</p>
${ignored > 0 && html`<p>${countText(ignored, 'request')} of them became IGNORED events: suspected replays, which no worker runs.</p>`}
${wrong > 0 && html`<p>${stay(wrong)}: the secrets of ${filter.source} do not verify ${wrong === 1 ? 'it' : 'them'}.</p>`}
${unavailable > 0 && html`<p>${stay(unavailable)}: the database could not take ${unavailable === 1 ? 'it' : 'them'}. Promote once more.</p>`}`;
}
