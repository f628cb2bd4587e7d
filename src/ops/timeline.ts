// What happened to an event, oldest first: its arrival, each failed attempt, its end.
import type { EventDetail, FailedAttempt } from '../events/queries.ts';
import { type Html, html } from './html.ts';
import { at, number, until } from './parts.ts';

const shownFailures = 50;

export function timeline(event: EventDetail, now: Date): Html {
  const { failures, receivedAt, duplicates } = event;
  const hidden = Math.max(0, failures.length - shownFailures);
  return html`<section><h2>Timeline</h2><ol class="timeline">
<li><p>${at(receivedAt)} <strong>received</strong>${duplicates > 0 && html`, and ${number(duplicates)} further ${duplicates === 1 ? 'delivery' : 'deliveries'} since`}</p></li>
${hidden > 0 && html`<li><p class="hint">${number(hidden)} earlier failed attempts are not shown.</p></li>`}
${failures.slice(hidden).map(failure)}
${ending(event, now)}
</ol></section>`;
}

function failure({ error, stack, startedAt, failedAt }: FailedAttempt): Html {
  const seconds = startedAt && (failedAt.getTime() - startedAt.getTime()) / 1_000;
  const [message, ...causes] = error.split(/; (?=statement: |cause: )/);
  return html`<li class="bad"><p>${at(failedAt)} <strong>attempt failed</strong>${seconds !== null && ` after ${seconds.toFixed(1)} s`}</p>
<p class="error">${message}</p>
${causes.length > 0 && html`<ul class="causes">${causes.map((cause) => html`<li>${cause}</li>`)}</ul>`}
${stack !== null && html`<details><summary>Stack</summary><pre class="body">${stack}</pre></details>`}</li>
`;
}

function ending(
  { status, processedAt, nextTryAt, ignoredReason, pausedSince }: EventDetail,
  now: Date,
): Html {
  switch (status) {
    case 'PROCESSED':
      return html`<li class="good"><p>${processedAt && at(processedAt)} <strong>processed</strong></p></li>`;
    case 'IGNORED':
      return html`<li><p><strong>ignored</strong>: ${ignoredReason}</p></li>`;
    case 'FAILED':
      return html`<li class="bad"><p><strong>dead letter</strong>: nobody tries it again until it is replayed</p></li>`;
    case 'PENDING':
      if (pausedSince)
        return html`<li class="wait"><p><strong>waits</strong> for the end of a pause of ${at(pausedSince)}</p></li>`;
      return nextTryAt && nextTryAt > now
        ? html`<li class="wait"><p><strong>next try</strong> ${until(nextTryAt, now)}</p></li>`
        : html`<li class="wait"><p><strong>waits</strong> for a worker, or a worker has it</p></li>`;
  }
}
