// The list of events: the address holds the filter and the place, so that a link can be sent.
import type { FastifyInstance } from 'fastify';
import { eventStatuses } from '../events/parse-filter.ts';
import { type ArrivalCursor, type EventSummary, listEvents, readArrivalCursor } from '../events/queries.ts';
import { type FilterFields, readFilter, readFilterFields, replayable } from './event-filter.ts';
import { type Html, html } from './html.ts';
import { orSlow } from './inbox.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, slowBanner, statusPill, until } from './parts.ts';
import { opsUrl, textsOf } from './urls.ts';

const pageSize = 50;

export function addEventsPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/events', async (request, reply) => {
    const now = deps.now();
    const fields = readFilterFields((name) => textsOf(request, name));
    const { filter, problems } = readFilter(fields, now);
    const after = readCursor(textsOf(request, 'after')[0]);
    const found = await orSlow(
      deps.inbox.read(async (tx) => {
        const events = await listEvents(tx, filter, pageSize + 1, after);
        const last = events[pageSize - 1];
        const next = events.length > pageSize && last ? await readArrivalCursor(tx, last) : undefined;
        return { events: events.slice(0, pageSize), next };
      }),
    );
    const main = html`<h1>Events</h1>
${filterForm(fields, deps)}
${problems.map((problem) => html`<p class="banner warn" role="alert">${problem}</p>`)}
${found ? eventList(found, fields, after, now) : slowBanner('narrow the time range, or name a source and a topic.')}`;
    return sendPage(request, reply, {
      title: 'Events',
      nav: '/events',
      main,
      isLive: after === undefined,
      status: found ? 200 : 503,
    });
  });
}

function eventList(
  { events, next }: { events: readonly EventSummary[]; next: ArrivalCursor | undefined },
  fields: FilterFields,
  after: ArrivalCursor | undefined,
  now: Date,
): Html {
  if (events.length === 0) {
    const text = after ? 'No older event matches.' : 'No event matches.';
    return html`<p class="empty">${text}</p>`;
  }
  const replay = replayLink(fields);
  return html`${replay && html`<p class="row-actions">${replay}</p>`}
${eventTable(events, now)}
<nav class="pager" aria-label="Further events">
${after && html`<a href="${opsUrl('/events', fields)}">Newest</a>`}
${next && html`<a href="${opsUrl('/events', { ...fields, after: cursorText(next) })}" rel="next">Older</a>`}
</nav>`;
}

/** Only where the list has one status: a replay of PROCESSED events must be wanted. */
function replayLink(fields: FilterFields): Html | undefined {
  if (!replayable.some((status) => status === fields.status)) return undefined;
  return html`<a class="button" href="${opsUrl('/replay', fields)}">Replay all that match…</a>`;
}

export function eventTable(events: readonly EventSummary[], now: Date): Html {
  return html`<table class="list events">
<thead><tr><th>Received</th><th>Status</th><th>Source</th><th>Topic</th><th>Event</th><th class="number">Tries</th><th>Why</th></tr></thead>
<tbody>${events.map((event) => eventRow(event, now))}</tbody>
</table>`;
}

function eventRow(event: EventSummary, now: Date): Html {
  const { source, eventId, topic, status, attempts, receivedAt } = event;
  return html`<tr>
<td data-label="Received">${ago(receivedAt, now)}</td>
<td data-label="Status">${statusPill(status, attempts)}</td>
<td data-label="Source"><span class="line">${source}</span></td>
<td data-label="Topic"><span class="line">${topic}</span></td>
<td data-label="Event"><a class="id" href="${eventUrl(event)}">${eventId}</a></td>
<td data-label="Tries" class="number">${attempts}</td>
<td data-label="Why"><span class="cut wide">${why(event, now)}</span></td>
</tr>
`;
}

function why({ status, ignoredReason, lastError, nextTryAt }: EventSummary, now: Date): Html {
  if (status === 'IGNORED') return html`${ignoredReason}`;
  if (status === 'PROCESSED') return html``;
  const next =
    status === 'PENDING' && nextTryAt && nextTryAt > now && html`next try ${until(nextTryAt, now)} `;
  return html`${next}${lastError}`;
}

export const eventUrl = ({ source, eventId }: { source: string; eventId: string }): string =>
  opsUrl('/event', { source, id: eventId });

function filterForm(fields: FilterFields, { sources }: Pick<PageDeps, 'sources'>): Html {
  const input = (name: string, label: string, placeholder: string) => html`<label>${label}
<input name="${name}" value="${fields[name]}" placeholder="${placeholder}"></label>`;
  const chosen = fields.status?.split(',') ?? [];
  const isSearching = Boolean(fields.path ?? fields.value ?? fields.error ?? fields.group);
  return html`<form method="get" action="${opsUrl('/events')}" class="filter" role="search">
<fieldset class="statuses"><legend>Status</legend>${eventStatuses.map(
    (status) =>
      html`<label class="check"><input type="checkbox" name="status" value="${status}" ${chosen.includes(status) && html`checked`}>${status}</label>`,
  )}</fieldset>
<div class="fields">
<label>Source
<input name="source" value="${fields.source}" list="sources" placeholder="any" data-search></label>
<datalist id="sources">${[...sources.keys()].map((name) => html`<option value="${name}">`)}</datalist>
${input('topic', 'Topic', 'invoice.*')}
${input('id', 'Event id', 'evt_…')}
${input('entity', 'Entity', 'pi_…')}
${input('since', 'Since', '2h, or 2026-08-01')}
${input('until', 'Until', 'now')}
</div>
<details ${isSearching && html`open`}><summary>Search in payloads and errors</summary>
<div class="fields">
${input('path', 'Payload path', 'data.object.id')}
${input('value', 'has the value', 'pi_3Nx…')}
${input('error', 'Error contains', 'ECONNREFUSED')}
${fields.group && input('group', 'Error group', '')}
</div></details>
<div class="buttons"><button class="primary">Search</button><a href="${opsUrl('/events')}">Clear</a></div>
</form>`;
}

/** Time, source and id; only the id may hold a space. */
const cursorText = ({ receivedAt, source, eventId }: ArrivalCursor) => `${receivedAt} ${source} ${eventId}`;

function readCursor(text: string | undefined): ArrivalCursor | undefined {
  const [, receivedAt = '', source = '', eventId = ''] =
    /^(\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z) (\S{1,63}) ([^\0]{1,255})$/.exec(text ?? '') ?? [];
  return Number.isNaN(Date.parse(receivedAt)) ? undefined : { receivedAt, source, eventId };
}
