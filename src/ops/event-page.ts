// One event: what came, what happened to it, and what an operator can do.
import type { FastifyInstance } from 'fastify';
import { countAlive } from '../events/processes.ts';
import { type EventDetail, type EventSummary, findEvents, listEvents } from '../events/queries.ts';
import { type AskedRehearsal, findRehearsal } from '../events/rehearsals.ts';
import { findTombstones } from '../events/retention.ts';
import { indentJson, parseExactly } from '../exact-json.ts';
import { countText } from '../texts.ts';
import { OpsError } from './errors.ts';
import { eventForms } from './event-forms.ts';
import { eventTable } from './events-page.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import { orSlow } from './inbox.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, at, copyable, number, slowBanner, statusPill, until } from './parts.ts';
import { payloadTree } from './payload-tree.ts';
import { rehearsalSection } from './rehearsal.ts';
import { rehearseCommand, shellCommands } from './shell-commands.ts';
import { timeline } from './timeline.ts';
import { opsUrl, textsOf } from './urls.ts';

/** The page reads and shows no more of a payload. A payload that indenting would make longer is shown as stored. */
const maxBodyLength = 256 * 1_024;
const shownOfEntity = 20;

const doneTexts: Readonly<Record<string, string>> = {
  replay: 'The event is PENDING: a running worker takes it at once.',
  run_now: 'The event no longer waits: a running worker takes it at once.',
  ignore: 'The event is IGNORED.',
  resend: 'The receiver has accepted the edited request: this is its event.',
  resend_known:
    'The receiver has this event already: nothing new was stored. Another id in the body makes another event.',
};

export function addEventPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/event', async (request, reply) => {
    const [source = '', id = ''] = ['source', 'id'].map((name) =>
      textsOf(request, name)[0]?.replaceAll('\0', ''),
    );
    const [done = ''] = textsOf(request, 'done');
    const { event, related, rehearsal, workersAlive } = await readEvent(deps, source, id);
    const now = deps.now();
    const mayChange = signedInUser(request).role === 'operator';
    const main = html`${Object.hasOwn(doneTexts, done) && html`<p class="banner good" role="status">${doneTexts[done]}</p>`}
<h1 class="id">${event.eventId}</h1>
<p class="under">${statusPill(event.status, event.attempts)} <span>${event.source}</span> <span>${event.topic}</span> <span>${ago(event.receivedAt, now)}</span></p>
${problemOf(event, now)}
${mayChange && event.erasedAt === null && eventForms(event, now)}
${rehearsalSection(event, rehearsal, workersAlive, now)}
<div class="columns">
<div>${facts(event, now)}${timeline(event, now)}</div>
<div>${bodyOf(event)}${headersOf(event)}${event.erasedAt === null && commandsOf(event)}</div>
</div>
${entityOf(event, related, now)}`;
    return sendPage(request, reply, { title: event.eventId, nav: '/events', main, isLive: true });
  });
}

interface ReadEvent {
  event: EventDetail;
  related: EventSummary[] | undefined;
  rehearsal: AskedRehearsal | undefined;
  /** Read where there is a rehearsal. */
  workersAlive: number;
}

/** @throws OpsError (404) */
async function readEvent({ inbox }: PageDeps, source: string, id: string): Promise<ReadEvent> {
  const { events, tombstones, ...rest } = await inbox.read(async (tx) => {
    const found = await findEvents(tx, id, source, maxBodyLength + 1);
    const rehearsal = await findRehearsal(tx, { source, eventId: id });
    const workersAlive = rehearsal ? await countAlive(tx, 'worker') : 0;
    const gone = found.length > 0 ? [] : await findTombstones(tx, id, source);
    return { events: found, tombstones: gone, rehearsal, workersAlive };
  });
  const [event] = events;
  const [tombstone] = tombstones;
  if (tombstone)
    throw new OpsError(
      404,
      `The event was purged on ${tombstone.purgedOn}; its id is kept, its body is not.`,
    );
  if (!event) throw new OpsError(404, `There is no event ${id} of ${source}.`);
  const { entity } = event;
  if (entity === null) return { event, ...rest, related: [] };
  const filter = { source, entity };
  const related = await orSlow(inbox.read((tx) => listEvents(tx, filter, shownOfEntity + 1)));
  return { event, ...rest, related };
}

/** What is wrong with it now, before all that is known of it. */
function problemOf({ status, attempts, lastError, nextTryAt }: EventDetail, now: Date): Html | undefined {
  if (lastError === null || attempts === 0) return undefined;
  const error = html`<span class="error">${lastError}</span>`;
  if (status === 'FAILED')
    return html`<div class="banner bad"><strong>Dead letter</strong>: nobody tries it again until it is replayed.${error}</div>`;
  if (status !== 'PENDING') return undefined;
  const next = nextTryAt && nextTryAt > now ? until(nextTryAt, now) : 'is due';
  return html`<div class="banner warn"><strong>Retrying</strong>: ${countText(attempts, 'attempt')} failed, the next one ${next}.${error}</div>`;
}

function facts(event: EventDetail, now: Date): Html {
  const { status, nextTryAt, pausedSince, occurredAt, processedAt, entity, provider, source } = event;
  const rows: [string, Html | string | false | null][] = [
    ['Provider', provider !== source && provider],
    ['Paused', pausedSince && html`since ${at(pausedSince)}; see <a href="${opsUrl('')}">Overview</a>`],
    [
      'Next try',
      status === 'PENDING' && !pausedSince && (nextTryAt ? until(nextTryAt, now) : 'now, or a worker has it'),
    ],
    ['Why', event.ignoredReason],
    ['Received', at(event.receivedAt)],
    ['Received by', event.receivedBy],
    ['Occurred', occurredAt && at(occurredAt)],
    ['Processed', processedAt && at(processedAt)],
    ['Erased', event.erasedAt && at(event.erasedAt)],
    ['Entity', entity !== null && html`<a href="${opsUrl('/events', { source, entity })}">${entity}</a>`],
    ['Attempts', number(event.attempts)],
    ['Deferred', event.deferrals > 0 && `${number(event.deferrals)} times`],
    ['Duplicates', number(event.duplicates)],
    ['Job', event.jobId],
    ['Body SHA-256', event.bodySha256],
  ];
  return html`<section><h2>Facts</h2><dl class="facts">${rows.map(
    ([name, value]) => value && html`<dt>${name}</dt><dd>${value}</dd>`,
  )}</dl></section>`;
}

function bodyOf({ payloadText, payloadError, rawBody }: EventDetail): Html {
  if (payloadText === null) {
    const text = rawBody?.subarray(0, maxBodyLength).toString('utf8') ?? '';
    return html`<section><h2>Body</h2><p class="hint">Not kept as JSON: ${payloadError}.</p><pre class="body">${text}</pre></section>`;
  }
  if (Buffer.byteLength(payloadText) > maxBodyLength) {
    const start = Buffer.from(payloadText).subarray(0, maxBodyLength).toString('utf8');
    return html`<section><h2>Payload</h2>
<p class="banner warn">The payload is larger than 256 KB; its beginning is shown. <code>postbell show</code> prints the whole.</p>
<pre class="body">${start}</pre></section>`;
  }
  return html`<section><h2>Payload</h2>
${payloadTree(parseExactly(payloadText))}
<details><summary>Raw</summary>${copyable(indentJson(payloadText, maxBodyLength), 'payload')}</details></section>`;
}

function headersOf({ headers }: EventDetail): Html | undefined {
  const entries = Object.entries(headers);
  if (entries.length === 0) return undefined;
  return html`<section><h2>Headers</h2><dl class="facts">${entries.map(
    ([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`,
  )}</dl></section>`;
}

function commandsOf(event: EventDetail): Html {
  const commands = shellCommands(event);
  return html`<section><h2>In your shell</h2>
<details><summary>rehearse it: run its handlers and roll back</summary>${copyable(rehearseCommand(event), 'command')}</details>
${
  commands &&
  html`<details><summary>send it to your machine, signed with your own secret</summary>${copyable(commands.send, 'command')}</details>
<details><summary>send it by cURL, unsigned</summary>${copyable(commands.curl, 'command')}</details>`
}</section>`;
}

function entityOf(event: EventDetail, related: EventSummary[] | undefined, now: Date): Html | undefined {
  if (event.entity === null) return undefined;
  const title = html`<h2>Other events of ${event.entity}</h2>`;
  if (!related) return html`${title}${slowBanner('the other events of the entity are not shown.')}`;
  const others = related.filter(({ eventId }) => eventId !== event.eventId).slice(0, shownOfEntity);
  return html`${title}${others.length > 0 ? eventTable(others, now) : html`<p class="empty">None.</p>`}`;
}
