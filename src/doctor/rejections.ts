// The receiver's recent rejections: the reason of each, and the remedy.
import { aboutSignature, leastRejected } from '../alerts/rules.ts';
import { listRejections, type RejectedRequest } from '../events/rejected-requests.ts';
import { readAccepted, readRejections } from '../events/rejection-counts.ts';
import { groupRejections, remedyFor } from '../receive/rejection-remedies.ts';
import { countText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, needsPerson, ok, warn } from './check.ts';

const recentMs = 24 * 3_600_000;
const examinedOfEach = 200;
const shownOfOne = 20;

/** Prints a line per source and reason; with `only`, a line per request of that source. */
export async function checkRejections(
  context: CheckContext,
  only: string | undefined,
  now: Date = new Date(),
): Promise<Check[]> {
  const rejected = await listRejections(
    context.database,
    only,
    only === undefined ? examinedOfEach : shownOfOne,
  );
  if (rejected.length === 0) return [ok('rejected requests', 'none')];
  const groups =
    only === undefined
      ? groupRejections(rejected, context)
      : rejected.map((one) => ({ rejected: [one], remedy: remedyFor(one, context) }));
  return groups.map(({ rejected: group, remedy }) => {
    const [newest] = group as [RejectedRequest];
    const check = `rejected ${newest.source}`;
    const message = describe(group);
    const isRecent = now.getTime() - newest.receivedAt.getTime() < recentMs;
    return isRecent ? warn(check, message, remedy) : ok(check, message);
  });
}

/**
 * Sources of which every delivery of the last 24 h was rejected for its signature. A single rejection is anybody's; these
 * need a person.
 */
export async function checkOnlyRejected(
  { database }: Pick<CheckContext, 'database'>,
  only: string | undefined,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [source, slots] of Map.groupBy(await readRejections(database, 1), (slot) => slot.source)) {
    if (only !== undefined && source !== only) continue;
    const { isAccepted, isKnown } = await readAccepted(database, source);
    const count = aboutSignature(slots, isKnown).reduce((sum, { rejected }) => sum + rejected, 0);
    if (isAccepted || count < leastRejected) continue;
    const message = `no delivery was accepted in the last 24 h, and ${countText(count, 'request')} rejected`;
    checks.push(
      needsPerson(warn(`rejected ${source}`, message, `the reason of each: postbell doctor ${source}`)),
    );
  }
  return checks;
}

function describe(group: readonly RejectedRequest[]): string {
  const [{ source, receivedAt, reason, detail, requestId, bodyBytes }] = group as [RejectedRequest];
  const why = detail === null ? reason : `${reason} (${detail})`;
  const noSecretNote = reason === 'no_secret' ? `${source} sends deliveries, but has no secret: ` : '';
  const skipped = group.reduce((sum, rejected) => sum + rejected.skipped, 0);
  const more =
    skipped === 0 ? '' : ` (and ${countText(skipped, 'request')} for any reason that are only counted)`;
  if (group.length === 1)
    return `${noSecretNote}${timeText(receivedAt)} ${why}, ${bodyBytes} bytes, request ${requestId}${more}`;
  return `${noSecretNote}${countText(group.length, 'request')}, last ${timeText(receivedAt)}: ${why}${more}`;
}
