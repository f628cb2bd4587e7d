// What arrives now at a source, accepted or rejected: the list of captured requests, and the captures themselves.
import type { FastifyInstance } from 'fastify';
import {
  type Capture,
  type CapturedSummary,
  endCapture,
  keptMinutes,
  keptRequests,
  listCaptured,
  listCaptures,
  maxCaptureMinutes,
  openCapture,
} from '../events/captures.ts';
import { recordAction } from '../events/operator-actions.ts';
import { maxPerSecond } from '../receive/capture-writer.ts';
import { countText } from '../texts.ts';
import { OpsError } from './errors.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number, until } from './parts.ts';
import { formOf, opsUrl, textsOf } from './urls.ts';

const shownRequests = 100;
const renewSeconds = 2;
const minutesOffered = [10, 30, 60, maxCaptureMinutes];

/** What the address says: a person can send it as a link. */
interface Place {
  source: string | undefined;
  /** The list ends here: it stands still, or shows older requests. */
  upTo: number | undefined;
}

export function addRequestsPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/requests', async (request, reply) => {
    const upTo = readId(textsOf(request, 'up_to')[0]);
    const place = { source: textsOf(request, 'source')[0]?.replaceAll('\0', '') || undefined, upTo };
    const { captures, requests, newer } = await deps.inbox.read(async (tx) => ({
      captures: await listCaptures(tx),
      requests: await listCaptured(tx, { ...place, limit: shownRequests }),
      newer:
        upTo === undefined
          ? []
          : await listCaptured(tx, { source: place.source, after: upTo, limit: keptRequests }),
    }));
    const now = deps.now();
    const mayChange = signedInUser(request).role === 'operator';
    const main = html`<h1>Live requests${place.source && ` of ${place.source}`}</h1>
<p class="under"><span>What arrives now, accepted or not, at every <code>web</code>. The newest ${number(keptRequests)} of each source are kept, until ${keptMinutes} minutes after the end.</span>
${place.source && html`<a href="${opsUrl('/requests')}">All sources</a>`}</p>
${captureList(captures, mayChange, deps)}
${mayChange && openForm(deps, place.source)}
${requestList(requests, place, newer.length, captures, deps, now)}`;
    const isLive = upTo === undefined;
    return sendPage(request, reply, {
      ...{ title: 'Live requests', nav: '/requests', main, isLive },
      renewSeconds,
    });
  });

  app.post('/requests', async (request, reply) => {
    const form = formOf(request);
    const source = form.get('source') ?? '';
    const isEnd = form.get('action') === 'end';
    const { name } = signedInUser(request);
    if (!isEnd && !deps.sources.has(source) && !deps.waiting.has(source))
      throw new OpsError(400, 'There is no such source.');
    const minutes = Number(form.get('minutes'));
    if (!isEnd && !(Number.isInteger(minutes) && minutes >= 1 && minutes <= maxCaptureMinutes))
      throw new OpsError(400, `Give a number of minutes from 1 to ${maxCaptureMinutes}.`);
    await deps.inbox.change(async (tx) => {
      if (isEnd) {
        if (!(await endCapture(tx, source))) throw new OpsError(409, 'It has ended already.');
      } else await openCapture(tx, source, minutes, name);
      const action = isEnd ? 'end_capture' : 'capture';
      await recordAction(tx, { operator: name, action, filter: { source }, reason: null, done: 0 });
    });
    return reply.redirect(opsUrl('/requests', { source: isEnd ? undefined : source }), 303);
  });
}

/** An id of the table; undefined for any other text. */
export function readId(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function captureList(captures: readonly Capture[], mayChange: boolean, { now, showsAll }: PageDeps): Html {
  const all =
    showsAll &&
    html`<p class="banner">This <code>web</code> shows every request, also without an end (<code>LIVE_REQUESTS</code>).</p>`;
  if (captures.length === 0) return html`${all}`;
  return html`${all}<ul class="plain">${captures.map((capture) => captureItem(capture, mayChange, now()))}</ul>`;
}

function captureItem({ source, endsAt, openedBy, isOpen }: Capture, mayChange: boolean, now: Date): Html {
  const link = html`<a href="${opsUrl('/requests', { source })}"><strong>${source}</strong></a>`;
  const goneAt = new Date(endsAt.getTime() + keptMinutes * 60_000);
  if (!isOpen) return html`<li>${link} has ended; its requests are deleted ${until(goneAt, now)}</li>`;
  const end = html`<form method="post" action="${opsUrl('/requests')}" class="inline"><input type="hidden" name="action" value="end"><input type="hidden" name="source" value="${source}"><button class="quiet">End</button></form>`;
  return html`<li><div><span class="dot good"></span>${link} is shown; ends ${until(endsAt, now)} <span class="hint">opened by ${openedBy}</span></div>${mayChange && html` ${end}`}</li>`;
}

function openForm({ sources }: PageDeps, chosen: string | undefined): Html | undefined {
  if (sources.size === 0) return undefined;
  const options = [...sources.keys()].map(
    (name) => html`<option ${name === chosen && html`selected`}>${name}</option>`,
  );
  const minutes = minutesOffered.map(
    (number) => html`<option ${number === 30 && html`selected`}>${number}</option>`,
  );
  return html`<details class="popup"><summary class="button">Show the requests of a source…</summary><div class="panel">
<p>Headers and bodies are kept, <strong>also of requests whose signature is wrong</strong>, until ${keptMinutes} minutes after the end. They may hold personal data. Credentials are hidden.</p>
<form method="post" action="${opsUrl('/requests')}"><label>Source <select name="source">${options}</select></label>
<label>Minutes <select name="minutes">${minutes}</select></label><button class="primary">Show</button></form></div></details>`;
}

function requestList(
  requests: readonly CapturedSummary[],
  { source, upTo }: Place,
  newer: number,
  captures: readonly Capture[],
  { showsAll }: PageDeps,
  now: Date,
): Html {
  const [newest] = requests;
  const oldest = requests.at(-1);
  const here = opsUrl('/requests', { source });
  const isAny =
    showsAll || captures.some((capture) => capture.isOpen && (!source || capture.source === source));
  if (!newest)
    return html`<p class="empty">${isAny ? 'Nothing has arrived yet. Each web notices a capture within 2 s.' : 'No request is shown. Open a capture, then let the provider send.'}</p>`;
  const still =
    upTo === undefined
      ? html`<a href="${opsUrl('/requests', { source, up_to: newest.id })}">Pause</a> <a href="${here}">Renew</a>`
      : html`<strong>Paused.</strong> ${newer > 0 && `${countText(newer, 'newer request')}. `}<a href="${here}">Go on</a>`;
  const older =
    requests.length === shownRequests &&
    oldest &&
    html`<p><a href="${opsUrl('/requests', { source, up_to: oldest.id - 1 })}">Older</a></p>`;
  return html`<p class="under">${still}</p><table class="list requests"><caption class="hidden">Requests, newest first</caption>
<thead><tr><th>Received</th><th>Source</th><th>Answer</th><th>What</th><th class="number">Bytes</th></tr></thead>
<tbody>${requests.map((request) => requestRow(request, now))}</tbody></table>${older}`;
}

function requestRow(request: CapturedSummary, now: Date): Html {
  const { id, source, receivedAt, bodyBytes, notShown, reason, detail, topic, eventId, method } = request;
  const what =
    eventId !== null ? `${topic} ${eventId}` : reason !== null ? reason : `${method} ${request.url}`;
  return html`${
    notShown > 0 &&
    html`<tr><td colspan="5" class="hint">${countText(notShown, 'request')} of ${source} not shown: more came than are kept (${maxPerSecond} a second, 1 MB a second)</td></tr>
`
  }<tr><td data-label="Received">${ago(receivedAt, now)}</td><td data-label="Source">${source}</td>
<td data-label="Answer">${answerPill(request)}</td>
<td data-label="What"><a class="id" href="${opsUrl('/request', { id })}">${what}</a>${detail !== null && html` <span class="hint">${detail}</span>`}</td>
<td data-label="Bytes" class="number">${number(bodyBytes)}</td></tr>
`;
}

/** The status of the answer and its meaning. */
export function answerPill({ status, outcome }: Pick<CapturedSummary, 'status' | 'outcome'>): Html {
  const look = outcome === 'accepted' ? 'processed' : status < 300 ? 'ignored' : 'failed';
  return html`<span class="pill ${look}">${status} ${outcome.replaceAll('_', ' ')}</span>`;
}
