// The receiver's recent rejections: the reason of each, and the remedy.
import { listRejections, type RejectedRequest } from '../events/rejected-requests.ts';
import { groupRejections, remedyFor } from '../receive/rejection-remedies.ts';
import { countText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, ok, warn } from './check.ts';

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
