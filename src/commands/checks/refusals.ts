// What the receiver refused lately, why, and what would mend it.
import { listRejections, type RejectedRequest } from '../../event-queries.ts';
import type { Source } from '../../providers/index.ts';
import { variableOf } from '../../sources.ts';
import { countText, timeText } from '../print.ts';
import { type Check, type CheckContext, ok, warn } from './check.ts';

const recentMs = 24 * 3_600_000;
const examined = 200;
const shownOfOne = 20;

/** One line per source and reason; for one source the single requests. */
export async function checkRefusals(
  { database, sources }: CheckContext,
  only: string | undefined,
  now: Date = new Date(),
): Promise<Check[]> {
  const refused = await listRejections(database, only, only === undefined ? examined : shownOfOne);
  if (refused.length === 0) return [ok('refused requests', 'none on record')];
  const groups = only === undefined ? [...groupByReason(refused).values()] : refused.map((one) => [one]);
  return groups.map((group) => {
    const [newest] = group as [RejectedRequest];
    const check = `refused ${newest.source}`;
    const message = describe(group);
    const isRecent = now.getTime() - newest.receivedAt.getTime() < recentMs;
    return isRecent
      ? warn(check, message, remedyFor(newest, sources.get(newest.source)))
      : ok(check, message);
  });
}

function groupByReason(refused: readonly RejectedRequest[]): Map<string, RejectedRequest[]> {
  return Map.groupBy(refused, ({ source, reason }) => `${source} ${reason}`);
}

function describe(group: readonly RejectedRequest[]): string {
  const [{ receivedAt, reason, detail, requestId, bodyBytes }] = group as [RejectedRequest];
  const why = detail === null ? reason : `${reason} (${detail})`;
  if (group.length === 1) return `${timeText(receivedAt)} ${why}, ${bodyBytes} bytes, request ${requestId}`;
  return `${countText(group.length, 'request')}, last ${timeText(receivedAt)}: ${why}`;
}

const clock =
  'compare the clock of this machine (see clock); a delivery that was recorded and sent again is refused, too';
const sender = 'is it the provider that sends this? A proxy in front may drop or double headers';

/** By RefusalReason. */
const remedies: Record<string, (variable: string, source: Source | undefined) => string> = {
  missing_header: () => sender,
  repeated_header: () => sender,
  malformed_signature: (_, source) =>
    `${sender}; expected: ${source?.provider.scheme.summary ?? 'see providers'}`,
  malformed_timestamp: () => sender,
  too_old: () => clock,
  too_new: () => clock,
  missing_url: (variable) => `the URL is signed: set PUBLIC_URL or ${variable}_WEBHOOK_URL to it`,
  key_unavailable: () => "the provider's key could not be fetched: may this machine reach its host?",
};

function remedyFor({ source: name, reason }: RejectedRequest, source: Source | undefined): string {
  const variable = variableOf(name);
  const remedy = Object.hasOwn(remedies, reason) ? remedies[reason] : undefined;
  if (remedy) return remedy(variable, source);
  const where = source ? ` (${source.provider.secret.where})` : '';
  return `copy the secret once more into ${variable}_WEBHOOK_SECRET${where}; while it is rotated, list both, newest first`;
}
