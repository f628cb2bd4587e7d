// The dead letters in groups of one source, topic and error: a group is what an operator replays at once.
import type { FastifyInstance } from 'fastify';
import { type DeadLetterGroup, groupDeadLetters, maxGrouped } from '../events/dead-letter-groups.ts';
import { countText } from '../texts.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import { orSlow } from './inbox.ts';
import type { SendPage } from './page.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number, slowBanner } from './parts.ts';
import { opsUrl, textsOf } from './urls.ts';

const shownGroups = 100;

export function addDeadLettersPage(app: FastifyInstance, deps: PageDeps, sendPage: SendPage): void {
  app.get('/dead-letters', async (request, reply) => {
    const source = textsOf(request, 'source')[0]?.replaceAll('\0', '') || undefined;
    const found = await orSlow(deps.inbox.read((tx) => groupDeadLetters(tx, shownGroups, source)));
    const mayReplay = signedInUser(request).role === 'operator';
    const list = found
      ? groupList(found, source, mayReplay, deps.now())
      : slowBanner(
          html`list them by <a href="${opsUrl('/events', { status: 'FAILED', source })}">status and time</a>.`,
        );
    const main = html`<h1>Dead letters${source && ` of ${source}`}</h1>
${source && html`<p><a href="${opsUrl('/dead-letters')}">All sources</a></p>`}${list}`;
    const status = found ? 200 : 503;
    return sendPage(request, reply, {
      title: 'Dead letters',
      nav: '/dead-letters',
      main,
      status,
      isLive: true,
    });
  });
}

function groupList(
  { groups, groupCount, grouped }: Awaited<ReturnType<typeof groupDeadLetters>>,
  source: string | undefined,
  mayReplay: boolean,
  now: Date,
): Html {
  if (groups.length === 0) return html`<p class="empty">No event is a dead letter.</p>`;
  const cut = grouped >= maxGrouped && ` These are the newest ${number(maxGrouped)}; there may be more.`;
  const hidden =
    groupCount > groups.length &&
    ` The largest ${number(groups.length)} of ${number(groupCount)} groups are shown.`;
  return html`<p class="under">${countText(grouped, 'event')} in ${countText(groupCount, 'group')}, by source, topic and error; words with a digit count as equal.${cut}${hidden}
<a href="${opsUrl('/events', { status: 'FAILED', source })}">As a list</a></p>
<ul class="groups">${groups.map((group) => groupItem(group, mayReplay, now))}</ul>`;
}

function groupItem(group: DeadLetterGroup, mayReplay: boolean, now: Date): Html {
  const { source, topic, error, count, oldestReceivedAt, newestReceivedAt } = group;
  const fields = { status: 'FAILED', source, topic, group: group.errorGroup };
  return html`<li class="card">
<p class="count">${number(count)}</p>
<div class="what"><p><strong>${source}</strong> ${topic}</p><p class="error">${error}</p>
<p class="hint">received ${ago(oldestReceivedAt, now)}${count > 1 && html` to ${ago(newestReceivedAt, now)}`}</p></div>
<p class="row-actions"><a class="button" href="${opsUrl('/events', fields)}" data-row>See ${count === 1 ? 'it' : 'them'}</a>
${mayReplay && html`<a class="button accent" href="${opsUrl('/replay', fields)}">Replay ${count === 1 ? 'this' : `these ${number(count)}`}…</a>`}</p>
</li>
`;
}
