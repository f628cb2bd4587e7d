// Pauses on the overview: the list, a form that begins one, a button that ends one. Each change is recorded with its operator.
import type { FastifyInstance } from 'fastify';
import { type ActionFilter, recordAction } from '../events/operator-actions.ts';
import { describePause, scopeText } from '../events/pause-texts.ts';
import {
  beginPause,
  endPauses,
  isTopicPattern,
  type PauseInForce,
  type PauseScope,
  readPauses,
} from '../events/pauses.ts';
import { unknownSourceProblem } from '../runtime/known-sources.ts';
import { OpsError } from './errors.ts';
import { maxReasonLength } from './event-forms.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { formOf, lineOf, opsUrl } from './urls.ts';

export function addPauseActions(app: FastifyInstance, deps: PageDeps): void {
  app.post('/pause', async (request, reply) => {
    const form = formOf(request);
    await pause(deps, signedInUser(request).name, readScope(form), readReason(form));
    return reply.redirect(opsUrl(''), 303);
  });
  app.post('/resume', async (request, reply) => {
    await resume(deps, signedInUser(request).name, Number(formOf(request).get('id')));
    return reply.redirect(opsUrl(''), 303);
  });
}

/** @throws OpsError (400, 409) */
async function pause(
  deps: PageDeps,
  operator: string,
  scope: PauseScope,
  reason: string | null,
): Promise<void> {
  await deps.inbox.change(async (tx) => {
    const problem = scope.source === null ? undefined : await unknownSourceProblem(tx, scope.source, deps);
    if (problem) throw new OpsError(400, `Nothing was paused: ${problem}.`);
    const { pause, isNew } = await beginPause(tx, scope, reason, operator);
    if (!isNew) throw new OpsError(409, `${scopeText(scope)} is paused already, by ${pause.pausedBy}.`);
    await recordAction(tx, { operator, action: 'pause', filter: filterOf(scope), reason, done: 0 });
  });
}

/** The events that wait are not counted: they may be many, and the end of a pause must not fail for that. @throws OpsError (409) */
async function resume({ inbox }: PageDeps, operator: string, id: number): Promise<void> {
  await inbox.change(async (tx) => {
    const pause = (await readPauses(tx)).find((some) => some.id === id);
    const [ended] = pause ? await endPauses(tx, pause) : [];
    if (!ended) throw new OpsError(409, 'There is no such pause any more: nothing was done.');
    await recordAction(tx, { operator, action: 'resume', filter: filterOf(ended), reason: null, done: 0 });
  });
}

const filterOf = ({ source, topic, handler }: PauseScope): ActionFilter => ({
  ...(source !== null && { source }),
  ...(topic !== null && { topic }),
  ...(handler !== null && { handler }),
});

/** @throws OpsError (400) */
function readScope(form: URLSearchParams): PauseScope {
  const read = (name: string) => lineOf(form, name) || null;
  const [source, topic, handler] = [read('source'), read('topic'), read('handler')];
  if (source === null && handler === null) throw new OpsError(400, 'Name a source or a handler.');
  if (topic !== null && source === null) throw new OpsError(400, 'A topic needs its source.');
  if (topic !== null && !isTopicPattern(topic))
    throw new OpsError(400, 'Give a topic exactly (orders/create), as a prefix (orders/*), or as *.');
  return { source, topic, handler };
}

/** @throws OpsError (400) */
function readReason(form: URLSearchParams): string | null {
  const reason = lineOf(form, 'reason');
  if (reason.length > maxReasonLength)
    throw new OpsError(400, `Give a reason of at most ${maxReasonLength} characters.`);
  return reason || null;
}

export function pauseSection(
  pauses: readonly PauseInForce[],
  mayChange: boolean,
  now: Date,
): Html | undefined {
  if (pauses.length === 0 && !mayChange) return undefined;
  const item = (some: PauseInForce) =>
    html`<li>${describePause(some, now)} ${mayChange && resumeForm(some)}</li>`;
  return html`<section><h2>Paused</h2>${
    pauses.length > 0 ? html`<ul class="plain">${pauses.map(item)}</ul>` : html`<p class="hint">Nothing.</p>`
  }${mayChange && pauseForm()}</section>`;
}

const resumeForm = ({ id }: PauseInForce): Html =>
  html`<form method="post" action="${opsUrl('/resume')}"><input type="hidden" name="id" value="${id}"><button>Resume</button></form>`;

/** @param source only its events, or any that the person names */
export function pauseForm(source?: string): Html {
  const input = (name: string, label: string, placeholder: string) =>
    html`<label>${label} <input name="${name}" placeholder="${placeholder}"></label>`;
  const scope = source === undefined ? input('source', 'Source', 'any, if a handler is named') : undefined;
  return html`<details class="popup"><summary class="button">Pause…</summary><div class="panel">
<form method="post" action="${opsUrl('/pause')}">
<p>Events${source !== undefined && ` of ${source}`} are received and kept. None of their handlers starts until somebody resumes.</p>
${scope ?? html`<input type="hidden" name="source" value="${source}">`}
${input('topic', 'Topic', 'every topic, or orders/*')}
${source === undefined && input('handler', 'Handler', 'every handler')}
<label>Reason <input name="reason" maxlength="${maxReasonLength}" placeholder="the warehouse is down"></label>
<button class="danger">Pause</button></form></div></details>`;
}
