// A replay of many events: counted and asked first, then done in slices, so that it can stop and go on at any place.
import type { FastifyInstance } from 'fastify';
import type { EventFilter } from '../events/filter.ts';
import { beginAction, continueReplay, findAction, readNow } from '../events/operator-actions.ts';
import { countMatching } from '../events/replay.ts';
import { countText } from '../texts.ts';
import { OpsError } from './errors.ts';
import {
  describeFilter,
  type FilterFields,
  readFilter,
  readFilterFields,
  replayable,
} from './event-filter.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { number } from './parts.ts';
import { promotePart } from './quarantine.ts';
import { goOn } from './slices.ts';
import { formOf, opsUrl, textsOf } from './urls.ts';

/** Of one confirmation. */
const maxEvents = 50_000;

/** What a person is asked about. */
interface Question {
  filter: EventFilter;
  fields: FilterFields;
  /** At most `maxEvents`, the oldest. */
  count: number;
  hasMore: boolean;
  processed: number;
}

export function addReplayPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/replay', async (request, reply) => {
    const fields = readFilterFields((name) => textsOf(request, name));
    const question = await readQuestion(deps, fields);
    const main = html`<h1>Replay</h1>${askAbout(question, signedInUser(request).role === 'operator')}`;
    return sendPage(request, reply, { title: 'Replay', nav: '/dead-letters', main });
  });

  app.post('/replay', async (request, reply) => {
    const fields = readFilterFields((name) => textsOf(request, name));
    const confirmed = Number(formOf(request).get('confirmed'));
    if (!Number.isInteger(confirmed) || confirmed < 1 || confirmed > maxEvents)
      throw new OpsError(400, 'The form is incomplete: go back and try again.');
    const { filter } = await checkedFilter(deps, fields);
    const { name: operator } = signedInUser(request);
    const id = await deps.inbox.change((tx) =>
      beginAction(tx, 'replay', { operator, filter, matched: confirmed }),
    );
    return reply.redirect(await replayPart(deps, id), 303);
  });

  app.post('/action', async (request, reply) => {
    const id = Number(textsOf(request, 'id')[0]);
    if (!Number.isSafeInteger(id)) throw new OpsError(400, 'The form is incomplete: go back and try again.');
    const action = await deps.inbox.read((tx) => findAction(tx, id));
    const part = action?.action === 'promote' ? promotePart : replayPart;
    return reply.redirect(await part(deps, id), 303);
  });
}

function replayPart({ inbox }: PageDeps, id: number): Promise<string> {
  return goOn(id, () => inbox.change((tx) => continueReplay(tx, id)));
}

/** Events that arrive later are not meant, nor do a filter's relative times move on. @throws OpsError (400) */
async function checkedFilter({ inbox }: PageDeps, fields: FilterFields): Promise<{ filter: EventFilter }> {
  const databaseNow = await inbox.read(readNow);
  const { filter, problems } = readFilter(fields, databaseNow);
  if (problems.length > 0) throw new OpsError(400, problems.join(' '));
  const { statuses = [], receivedBefore = databaseNow } = filter;
  if (statuses.length === 0 || !statuses.every((status) => replayable.some((known) => known === status)))
    throw new OpsError(400, `Choose the events by their status: ${replayable.join(', ')}.`);
  return { filter: { ...filter, receivedBefore } };
}

async function readQuestion(deps: PageDeps, fields: FilterFields): Promise<Question> {
  const { filter } = await checkedFilter(deps, fields);
  return deps.inbox.read(async (tx) => {
    const found = await countMatching(tx, filter, 'afresh', maxEvents + 1);
    const hasProcessed = filter.statuses?.includes('PROCESSED');
    const processed = hasProcessed
      ? await countMatching(tx, { ...filter, statuses: ['PROCESSED'] }, 'afresh', maxEvents + 1)
      : 0;
    const { receivedSince, receivedBefore } = filter;
    const since = receivedSince && { since: receivedSince.toISOString() };
    return {
      filter,
      fields: { ...fields, ...since, until: receivedBefore!.toISOString() },
      count: Math.min(found, maxEvents),
      hasMore: found > maxEvents,
      processed,
    };
  });
}

function askAbout({ filter, fields, count, hasMore, processed }: Question, mayReplay: boolean): Html {
  const list = html`<a class="button" href="${opsUrl('/events', fields)}">See them</a>`;
  if (count === 0) return html`<p class="empty">No event matches: nothing to replay.</p>`;
  return html`<div class="card question">
<p class="big">${hasMore && 'The oldest '}${countText(count, 'event')} will run again.</p>
<p class="under">${describeFilter(filter)}</p>
${hasMore && html`<p>More events match; ${number(maxEvents)} are the most of one replay. Come back for the others.</p>`}
${processed > 0 && html`<p class="banner bad" role="alert">${countText(processed, 'event')} among them are PROCESSED: what their handlers did then, they would do <strong>a second time</strong>.</p>`}
<div class="actions">
${mayReplay && html`<form method="post" action="${opsUrl('/replay', fields)}" data-begins><input type="hidden" name="confirmed" value="${count}"><button class="${processed > 0 ? 'danger' : 'primary'}">Replay ${countText(count, 'event')}</button></form>`}
${list}<a href="${opsUrl('/dead-letters')}">Cancel</a></div></div>`;
}
