// What an operator can do with one event: replay, run now, ignore. Each change is recorded in its own transaction.
import type { FastifyInstance } from 'fastify';
import { type OperatorActionKind, recordAction } from '../events/operator-actions.ts';
import { type EventDetail, ignoreEvent } from '../events/queries.ts';
import { replayMatching } from '../events/replay.ts';
import { wakeReconciler } from '../queue/notify.ts';
import type { EventKey } from '../queue/queue.ts';
import { OpsError } from './errors.ts';
import { replayable } from './event-filter.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { rehearsalForm } from './rehearsal.ts';
import { formOf, lineOf, opsUrl, textsOf } from './urls.ts';

/** As in operator_actions. */
export const maxReasonLength = 200;

export function addEventActions(app: FastifyInstance, { inbox }: PageDeps): void {
  app.post('/event', async (request, reply) => {
    const form = formOf(request);
    // In the address, since a browser changes the line breaks of a form's fields.
    const [[source = ''], [id = '']] = [textsOf(request, 'source'), textsOf(request, 'id')];
    const key = { source, eventId: id };
    const action = readAction(form.get('action'));
    const reason = action === 'ignore' ? readReason(lineOf(form, 'reason')) : null;
    await inbox.change(async (tx) => {
      const isDone =
        reason !== null
          ? await ignoreEvent(tx, key, reason)
          : (await replayMatching(tx, filterOf(key, action), replayOptions(action))).count > 0;
      if (!isDone)
        throw new OpsError(
          409,
          'The event has changed since, or is locked: nothing was done. Look at it again.',
        );
      const { name: operator } = signedInUser(request);
      await recordAction(tx, { operator, action, filter: key, reason, done: 1 });
      if (action === 'run_now') await wakeReconciler(tx);
    });
    return reply.redirect(opsUrl('/event', { source, id, done: action }), 303);
  });
}

const filterOf = (key: EventKey, action: OperatorActionKind) => ({
  ...key,
  statuses: action === 'run_now' ? (['PENDING'] as const) : replayable,
});

const replayOptions = (action: OperatorActionKind) =>
  ({ kind: action === 'run_now' ? 'now' : 'afresh', limit: 1, after: undefined }) as const;

function readAction(text: string | null): 'replay' | 'run_now' | 'ignore' {
  if (text === 'replay' || text === 'run_now' || text === 'ignore') return text;
  throw new OpsError(400, 'The form is incomplete: go back and try again.');
}

/** @throws OpsError (400) */
function readReason(reason: string): string {
  if (reason === '' || reason.length > maxReasonLength)
    throw new OpsError(400, `Give a reason of 1 to ${maxReasonLength} characters.`);
  // Postbell's own words: webhook_events does not allow them for the first event with a body.
  if (reason.startsWith('suspected replay of ')) throw new OpsError(400, 'Give a reason in your own words.');
  return reason;
}

export function eventForms(event: EventDetail, now: Date): Html {
  const { status, nextTryAt } = event;
  const waits = status === 'PENDING' && nextTryAt !== null && nextTryAt > now;
  return html`<div class="actions">
${(status === 'FAILED' || status === 'IGNORED') && form(event, 'replay', html`<button class="primary">Replay</button>`)}
${status === 'PROCESSED' && replayAgain(event)}
${waits && form(event, 'run_now', html`<button class="primary">Run now</button>`)}
${(status === 'FAILED' || status === 'PENDING') && ignoreForm(event)}
${rehearsalForm(event)}
</div>`;
}

const form = ({ source, eventId }: EventKey, action: OperatorActionKind, content: Html): Html =>
  html`<form method="post" action="${opsUrl('/event', { source, id: eventId })}"><input type="hidden" name="action" value="${action}">${content}</form>`;

const replayAgain = (key: EventKey): Html =>
  html`<details class="popup"><summary class="button">Replay…</summary><div class="panel">
<p>The event is PROCESSED: what its handlers did then, they would do <strong>a second time</strong>.</p>
${form(key, 'replay', html`<button class="danger">Replay all the same</button>`)}</div></details>`;

const ignoreForm = (key: EventKey): Html =>
  html`<details class="popup"><summary class="button">Ignore…</summary><div class="panel">
${form(
  key,
  'ignore',
  html`<label>Why will nobody run it?
<input name="reason" required maxlength="${maxReasonLength}" placeholder="refunded by hand"></label>
<button class="danger">Ignore the event</button>`,
)}</div></details>`;
