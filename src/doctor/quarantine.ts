// Rejected requests that wait in quarantine, with the command that takes them in.
import { readQuarantine } from '../events/quarantine.ts';
import { variableOf } from '../providers/sources.ts';
import { bytesText, countText, timeText } from '../terminal/print.ts';
import { reasonsText, refusedText } from '../terminal/quarantine.ts';
import { type Check, type CheckContext, needsPerson, warn } from './check.ts';

/** @param only checks this source only */
export async function checkQuarantine(
  { database, sources }: Pick<CheckContext, 'database' | 'sources'>,
  only: string | undefined,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const state of await readQuarantine(database, only)) {
    const { source, requests, oldestAt } = state;
    const check = `quarantine ${source}`;
    const since = oldestAt ? `, since ${timeText(oldestAt)}` : '';
    const kept = `${countText(requests, 'rejected request')}, ${bytesText(state, sources.get(source))}${since}: ${reasonsText(state)}`;
    const promote = `once ${variableOf(source)}_WEBHOOK_SECRET is right, run: postbell quarantine promote ${source}`;
    if (requests > 0) checks.push(needsPerson(warn(check, kept, promote)));
    if (state.refused > 0)
      checks.push(
        needsPerson(
          warn(check, refusedText(state), `promote, delete, or raise ${variableOf(source)}_QUARANTINE_MB`),
        ),
      );
  }
  return checks;
}
