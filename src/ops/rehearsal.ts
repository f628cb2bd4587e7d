// A rehearsal from the event's page: the question, the wait for a worker, and what came out. Nothing of the handlers runs here.
import type { FastifyInstance } from 'fastify';
import { recordAction } from '../events/operator-actions.ts';
import { type AskedRehearsal, askForRehearsal, type RehearsalState } from '../events/rehearsals.ts';
import { wakeForRehearsal } from '../queue/notify.ts';
import type { EventKey } from '../queue/queue.ts';
import { countText } from '../texts.ts';
import type { Rehearsal, TableChange } from '../worker/rehearsal/rehearsal.ts';
import { rehearsalVerdict, rowCountText } from '../worker/rehearsal/rehearsal-texts.ts';
import type { RehearsedStatement } from '../worker/rehearsal/statement-recorder.ts';
import { OpsError } from './errors.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { ago, number } from './parts.ts';
import { opsUrl, textsOf } from './urls.ts';

export function addRehearsalActions(app: FastifyInstance, { inbox }: PageDeps): void {
  app.post('/rehearse', async (request, reply) => {
    const [[source = ''], [id = '']] = [textsOf(request, 'source'), textsOf(request, 'id')];
    const key = { source, eventId: id };
    const { name: operator } = signedInUser(request);
    await inbox.change(async (tx) => {
      if (!(await askForRehearsal(tx, key, operator)))
        throw new OpsError(
          409,
          'There is no such event, or a rehearsal of it waits or runs: nothing was done.',
        );
      await recordAction(tx, { operator, action: 'rehearse', filter: key, reason: null, done: 0 });
      await wakeForRehearsal(tx);
    });
    return reply.redirect(`${opsUrl('/event', { source, id })}#rehearsal`, 303);
  });
}

export const rehearsalForm = ({ source, eventId }: EventKey): Html =>
  html`<details class="popup"><summary class="button">Rehearse…</summary><div class="panel">
<p>A worker runs the handlers and rolls back what they do with <code>tx</code>.</p>
<p class="banner bad"><strong>Their calls to the outside HAPPEN</strong>: mails are sent, cards are charged, other systems are called.</p>
<form method="post" action="${opsUrl('/rehearse', { source, id: eventId })}"><button class="danger">Rehearse all the same</button></form></div></details>`;

/** @param workersAlive 0: nobody will run it */
export function rehearsalSection(
  key: EventKey,
  rehearsal: AskedRehearsal | undefined,
  workersAlive: number,
  now: Date,
): Html | undefined {
  if (!rehearsal) return undefined;
  const { state, askedBy, askedAt, problem, result } = rehearsal;
  const isOpen = state === 'waiting' || state === 'running';
  const said =
    problem === null && result !== null
      ? resultOf(result as Rehearsal)
      : html`<p class="banner bad">There is no result: ${problem}.</p>`;
  return html`<section id="rehearsal"><h2>Rehearsal</h2>
<p class="hint">Asked for by ${askedBy} ${ago(askedAt, now)}. Kept for a day.</p>
${state === 'ended' ? said : html`<p class="banner ${isOpen ? '' : 'bad'}" role="status" ${isOpen && html`data-soon`}>${states[state]}</p>`}
${state === 'waiting' && workersAlive === 0 && html`<p class="banner bad">No worker is alive: nobody runs it until a worker starts.</p>`}
${isOpen && html`<p><a href="${opsUrl('/event', { source: key.source, id: key.eventId })}#rehearsal">Look again</a></p>`}
</section>`;
}

const states: Record<Exclude<RehearsalState, 'ended'>, string> = {
  waiting: 'It waits for a worker, for 10 minutes at most.',
  running: 'A worker runs it.',
  lost: 'Its worker died, or was stopped, before it wrote the result. It does not run again by itself.',
  expired: 'No worker took it within 10 minutes. It does not run any more.',
};

function resultOf(rehearsal: Rehearsal): Html {
  const { outcome, reason, error, tables, statements, furtherStatements } = rehearsal;
  const isGood = outcome === 'processed' || outcome === 'ignored';
  return html`<p class="banner ${isGood ? 'good' : 'warn'}">The event ${rehearsalVerdict(rehearsal)}.</p>
${(error || reason) && html`<p class="error">${error?.text ?? reason}</p>`}
${error?.stack && html`<details><summary>Stack</summary><pre class="body">${error.stack}</pre></details>`}
${outcome === 'processed' && tableOf(tables)}
${statements.length > 0 && html`<h2>The handlers’ statements</h2><ul class="plain">${statements.map(statementOf)}</ul>`}
${furtherStatements > 0 && html`<p class="hint">And ${countText(furtherStatements, 'further statement')}.</p>`}`;
}

function tableOf(tables: readonly TableChange[]): Html {
  if (tables.length === 0) return html`<p>No row was changed.</p>`;
  const row = ({ table, inserted, updated, deleted }: TableChange) =>
    html`<tr><td data-label="Table">${table}</td><td data-label="Inserted" class="number">${number(inserted)}</td><td data-label="Updated" class="number">${number(updated)}</td><td data-label="Deleted" class="number">${number(deleted)}</td></tr>`;
  return html`<table class="list"><thead><tr><th>Table</th><th class="number">Inserted</th><th class="number">Updated</th><th class="number">Deleted</th></tr></thead><tbody>${tables.map(row)}</tbody></table>`;
}

const statementOf = ({ text, rowCount, rows }: RehearsedStatement): Html =>
  html`<li><code>${text}</code> <span class="hint">${rowCountText(rowCount)}</span>${rows.length > 0 && html`<pre class="body">${rows.join('\n')}</pre>`}</li>`;
