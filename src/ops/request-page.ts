// One captured request: what came, what was answered and why. Its address pins it: the page stands still.
import type { FastifyInstance } from 'fastify';
import { type CapturedRequest, findCaptured, findNeighbours, keptMinutes } from '../events/captures.ts';
import { hasSignatureInBody, hidden, isSignatureHeader } from '../providers/index.ts';
import { remedyFor } from '../receive/rejection-remedies.ts';
import { OpsError } from './errors.ts';
import { eventUrl } from './events-page.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, at, number } from './parts.ts';
import { requestBody } from './request-body.ts';
import { answerPill, readId } from './requests-page.ts';
import { resendForm } from './resend.ts';
import { opsUrl, textsOf } from './urls.ts';

export function addRequestPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/request', async (request, reply) => {
    const id = readId(textsOf(request, 'id')[0]);
    const found = id === undefined ? undefined : await deps.inbox.read((tx) => readRequest(tx, id));
    if (!found)
      throw new OpsError(
        404,
        `The request is not kept: it is not among the newest, or its capture ended more than ${keptMinutes} minutes ago.`,
      );
    const { captured, older, newer } = found;
    const { source, method, url, receivedAt } = captured;
    const mayChange = signedInUser(request).role === 'operator';
    const now = deps.now();
    const step = (to: number | null, text: string) =>
      to !== null && html`<a href="${opsUrl('/request', { id: to })}">${text}</a> `;
    const main = html`<h1 class="id">${method} ${url}</h1>
<p class="under">${answerPill(captured)} <span>${source}</span> <span>${ago(receivedAt, now)}</span></p>
<p class="under">${step(older, 'Older')}${step(newer, 'Newer')}<a href="${opsUrl('/requests', { source })}">All of ${source}</a></p>
${diagnosis(captured, deps)}
${mayChange && resendForm(captured, deps)}
<div class="columns"><div>${mayReadBody(source, mayChange, deps) ? requestBody(captured) : withheldBody(captured)}</div><div>${headersOf(captured, mayChange)}${facts(captured)}</div></div>`;
    return sendPage(request, reply, { title: `${method} ${source}`, nav: '/requests', main });
  });
}

async function readRequest(tx: Parameters<typeof findCaptured>[0], id: number) {
  const captured = await findCaptured(tx, id);
  return captured && { captured, ...(await findNeighbours(tx, captured)) };
}

const meanings: Readonly<Record<string, string>> = {
  handshake: 'A set-up request of the provider: it carries no event.',
  unavailable: 'Postbell could not accept it in time and asked the provider to send it again.',
  method_not_allowed: 'This source does not take this method.',
  unsupported_encoding:
    'The body was compressed: Postbell verifies the bytes as they were sent, and refuses compressed ones.',
  failed: 'The request failed. The log has the reason, under its id.',
};

function diagnosis(captured: CapturedRequest, deps: PageDeps): Html | undefined {
  const { source, outcome, topic, eventId, reason, detail } = captured;
  if (eventId !== null) {
    const link = html`<a class="id" href="${eventUrl({ source, eventId })}">${eventId}</a>`;
    return outcome === 'duplicate'
      ? html`<p class="banner">A further delivery of the event ${link} (${topic}).</p>`
      : html`<p class="banner good">Became the event ${link} (${topic}).</p>`;
  }
  if (reason !== null)
    return html`<div class="card"><p><code>${reason}</code>${detail !== null && ` ${detail}`}</p>
<p class="remedy">${remedyFor({ source, reason, detail }, deps)}</p></div>`;
  const meaning = Object.hasOwn(meanings, outcome) && meanings[outcome];
  return html`${meaning && html`<p class="banner">${meaning}</p>`}`;
}

/** Readers must not be able to send an event: a signature in the body is not for them. */
function mayReadBody(name: string, mayChange: boolean, { sources, waiting }: PageDeps): boolean {
  const provider = sources.get(name)?.provider ?? waiting.get(name);
  return mayChange || (provider !== undefined && !hasSignatureInBody(provider));
}

const withheldBody = ({ bodyBytes }: CapturedRequest): Html =>
  html`<section><h2>Body</h2><p class="hint">It may hold a signature, ${number(bodyBytes)} bytes, shown to those who may send.</p></section>`;

function headersOf({ headers }: CapturedRequest, mayChange: boolean): Html {
  const shown = (name: string, value: string) =>
    isSignatureHeader(name) && !mayChange && !value.endsWith(hidden)
      ? html`<span class="hint">a signature, ${number(value.length)} characters, shown to those who may send</span>`
      : value;
  const rows = Object.entries(headers).flatMap(([name, values]) =>
    values.map((value) => html`<dt>${name}</dt><dd>${shown(name, value)}</dd>`),
  );
  return html`<section><h2>Headers</h2><dl class="facts">${rows}</dl></section>`;
}

function facts({ requestId, process, receivedAt, bodyBytes }: CapturedRequest): Html {
  const rows: [string, Html | string][] = [
    ['Request', requestId],
    ['Received', at(receivedAt)],
    ['By web on', process],
    ['Bytes of body', number(bodyBytes)],
  ];
  return html`<section><h2>Facts</h2><dl class="facts">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></section>`;
}
