// The overview's part about recovering: the last run of each source, the next one, and why it fails.
import type { Recovery } from '../events/recoveries.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { type Html, html } from './html.ts';
import { ago, number, until, waited } from './parts.ts';

/** The sources that were recovered, and those that RECOVER_MINUTES recovers. */
export function recoveryList(
  recoveries: readonly Recovery[],
  { sources, everyMs }: RecoverSchedule,
  now: Date,
): Html | undefined {
  const scheduled = new Set(sources.map(({ source }) => source.name));
  const bySource = new Map(recoveries.map((recovery) => [recovery.source, recovery]));
  const names = [...new Set([...bySource.keys(), ...scheduled])].sort();
  if (names.length === 0) return undefined;
  const item = (name: string) => {
    const recovery = bySource.get(name);
    const isFailing = (recovery?.lastError ?? null) !== null;
    return html`<dt>${name}</dt><dd><span class="dot ${isFailing ? 'bad' : 'good'}"></span>${recovery ? lastRun(recovery, now) : 'no run yet'}${scheduled.has(name) && nextRun(recovery, everyMs, now)}${recovery && failure(recovery, now)}</dd>`;
  };
  return html`<section id="recoveries"><h2>Recovering</h2><dl class="facts">${names.map(item)}</dl></section>`;
}

function lastRun({ startedAt, endedAt, recovered, known, givenUp }: Recovery, now: Date): Html {
  const when = endedAt ? ago(endedAt, now) : html`began ${ago(startedAt, now)}`;
  return html`${when}: recovered ${number(recovered)}, already there ${number(known)}${givenUp > 0 && html`, given up ${number(givenUp)}`}`;
}

/** A worker looks every 30 s which source is due. */
function nextRun(recovery: Recovery | undefined, everyMs: number, now: Date): Html | undefined {
  if (recovery && !recovery.endedAt) return undefined;
  const dueAt = recovery?.endedAt ? new Date(recovery.endedAt.getTime() + everyMs) : now;
  return html`; next ${until(dueAt, now)}`;
}

function failure({ lastError, failingSince }: Recovery, now: Date): Html | undefined {
  if (lastError === null) return undefined;
  return html`; failed${failingSince && ` for ${waited(failingSince, now)}`}: ${lastError}`;
}
