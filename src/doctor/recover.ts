// Checks the API keys for `postbell recover` by one harmless call each, and the last runs.

import { describeError } from '../errors.ts';
import { listRecoveries, type Recovery } from '../events/recoveries.ts';
import type { ParsedRecovers, RecoverSource } from '../providers/index.ts';
import { probeApi } from '../pull/probe.ts';
import { countText, timeText } from '../texts.ts';
import { type Check, type CheckContext, needsPerson, ok, warn } from './check.ts';

/** @param only checks this source only */
export async function checkRecover(
  recovers: ParsedRecovers,
  { database, config }: CheckContext,
  only: string | undefined,
): Promise<Check[]> {
  const isAsked = (name: string) => only === undefined || only === name;
  const isAutomatic = config.RECOVER_MINUTES > 0;
  // A team has keys for its own use: without the interval a bad key keeps nobody from anything.
  const grade = (check: Check) => (isAutomatic ? needsPerson(check) : check);
  const checks: Check[] = [];
  for (const [name, problems] of recovers.problems)
    if (isAsked(name))
      for (const problem of problems)
        checks.push(grade(warn(`recover ${name}`, problem, 'correct the variable, then run doctor again')));
  for (const recover of recovers.ready.values()) {
    if (!isAsked(recover.source.name)) continue;
    checks.push(grade(await tryKey(recover, isAutomatic)));
    if (recover.source.provider.isOnlyPulled && !isAutomatic)
      checks.push(nothingByItself(recover.source.name));
  }
  if (!isAutomatic && recovers.ready.size === 0) return checks;
  for (const recovery of await listRecoveries(database))
    if (isAsked(recovery.source)) checks.push(...lastRun(recovery).map(grade));
  return checks;
}

function lastRun({ source, lastError, failingSince, givenUp }: Recovery): Check[] {
  const checks: Check[] = [];
  const since = failingSince ? `; no run has succeeded since ${timeText(failingSince)}` : '';
  if (lastError !== null)
    checks.push(
      warn(
        `recover ${source}`,
        `the last run failed: ${lastError}${since}`,
        `run: postbell recover ${source}`,
      ),
    );
  if (givenUp > 0)
    checks.push(
      warn(
        `recover ${source}`,
        `${countText(givenUp, 'event')} given up: asked for during 24 hours, and never arrived`,
        `check the webhook's address and secret, then run: postbell recover ${source} --since 3d`,
      ),
    );
  return checks;
}

function nothingByItself(name: string): Check {
  return warn(
    `recover ${name}`,
    'the source is only pulled, and RECOVER_MINUTES is 0: nothing comes in by itself',
    `set RECOVER_MINUTES, e.g. to 1, or let a cron job run: postbell recover ${name}`,
  );
}

async function tryKey(recover: RecoverSource, isAutomatic: boolean): Promise<Check> {
  const check = `recover ${recover.source.name}`;
  try {
    await probeApi(recover);
    const when = isAutomatic ? 'with RECOVER_MINUTES' : 'by postbell recover';
    return ok(check, `${new URL(recover.url).host} accepts the key; used ${when}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : describeError(error).text;
    return warn(check, message, `without it nothing is recovered: postbell recover ${recover.source.name}`);
  }
}
