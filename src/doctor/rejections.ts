// The receiver's recent rejections: the reason of each, and the remedy.
import { listRejections, type RejectedRequest } from '../events/queries.ts';
import { type Diagnosis, type Provider, type Source, unconfirmed } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { countText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, ok, warn } from './check.ts';

const recentMs = 24 * 3_600_000;
const examined = 200;
const shownOfOne = 20;

/** One line per source and reason; for one source the single requests. */
export async function checkRejections(
  context: CheckContext,
  only: string | undefined,
  now: Date = new Date(),
): Promise<Check[]> {
  const refused = await listRejections(context.database, only, only === undefined ? examined : shownOfOne);
  if (refused.length === 0) return [ok('refused requests', 'none on record')];
  const groups = only === undefined ? [...groupByReason(refused).values()] : refused.map((one) => [one]);
  return groups.map((group) => {
    const [newest] = group as [RejectedRequest];
    const check = `refused ${newest.source}`;
    const message = describe(group);
    const isRecent = now.getTime() - newest.receivedAt.getTime() < recentMs;
    return isRecent ? warn(check, message, remedyFor(newest, context)) : ok(check, message);
  });
}

function groupByReason(refused: readonly RejectedRequest[]): Map<string, RejectedRequest[]> {
  return Map.groupBy(refused, ({ source, reason }) => `${source} ${reason}`);
}

function describe(group: readonly RejectedRequest[]): string {
  const [{ source, receivedAt, reason, detail, requestId, bodyBytes }] = group as [RejectedRequest];
  const why = detail === null ? reason : `${reason} (${detail})`;
  const rings = reason === 'no_secret' ? `${source} rings, but has no secret: ` : '';
  const skipped = group.reduce((sum, rejected) => sum + rejected.skipped, 0);
  const more =
    skipped === 0 ? '' : ` (and ${countText(skipped, 'request')} of any source that were only counted)`;
  if (group.length === 1)
    return `${rings}${timeText(receivedAt)} ${why}, ${bodyBytes} bytes, request ${requestId}${more}`;
  return `${rings}${countText(group.length, 'request')}, last ${timeText(receivedAt)}: ${why}${more}`;
}

const clock: Remedy = (_variable, _source, detail) =>
  detail?.endsWith(unconfirmed)
    ? 'an old forgery, or the secret is wrong, too: see to the clock and the secret only if the provider sent it'
    : 'compare the clock of this machine (see clock); a delivery that was recorded and sent again is refused, too';
const sender = 'is it the provider that sends this? A proxy in front may drop or double headers';

type Remedy = (variable: string, source: Source | undefined, detail: string | null) => string;

const copySecret: Remedy = (variable, source) => {
  const where = source ? ` (${source.provider.secret.where})` : '';
  return `copy the secret once more into ${variable}_WEBHOOK_SECRET${where}; while it is rotated, list both, newest first`;
};

/** By the diagnosis. */
const remedies: Record<Diagnosis['reason'] | 'too_large', Remedy> = {
  too_large: (_variable, source) =>
    `raise BODY_LIMIT_BYTES, restart web, and have it sent again${source?.provider.redelivery ? ` (${source.provider.redelivery})` : ''}`,
  missing_header: () => sender,
  repeated_header: () => sender,
  malformed_signature: (_, source) =>
    `${sender}; expected: ${source?.provider.scheme.summary ?? 'see providers'}`,
  malformed_timestamp: () => sender,
  too_old: clock,
  too_new: clock,
  missing_url: (variable) => `the URL is signed: set PUBLIC_URL or ${variable}_WEBHOOK_URL to it`,
  key_unavailable: () => "the provider's key could not be fetched: may this machine reach its host?",
  wrong_signature: copySecret,
  wrong_secret: copySecret,
  other_secret: (variable) =>
    `the secrets are mixed up: put that one into ${variable}_WEBHOOK_SECRET, or let the provider call the other source's path`,
  wrong_path: () => "the path typed in at the provider is wrong: it must end with the other source's name",
  altered_body: () =>
    'something in front (proxy, gateway, framework) rewrites the body: let it pass the bytes as they are',
  wrong_url: (variable) =>
    `set ${variable}_WEBHOOK_URL to the URL exactly as it is typed in at the provider (or correct PUBLIC_URL)`,
};

function remedyFor({ source: name, reason, detail }: RejectedRequest, context: CheckContext): string {
  const source = context.sources.get(name);
  if (reason === 'no_secret')
    return source ? 'it has one now: restart web if it goes on' : noSecret(name, context.waiting.get(name));
  const known = Object.hasOwn(remedies, reason) ? remedies[reason as keyof typeof remedies] : copySecret;
  return known(variableOf(name), source, detail);
}

/** @param provider undefined: only stored events bear the name */
function noSecret(name: string, provider: Provider | undefined): string {
  const variable = `${variableOf(name)}_WEBHOOK_SECRET`;
  const how = !provider
    ? `${variable}, and declare it: POSTBELL_SOURCES=${name}=<provider>`
    : provider.handover
      ? `${variable}, which you get from: postbell setup ${name}`
      : `${variable} (${provider.secret.where})`;
  return `if it is yours, set ${how}; else remove the webhook at the provider. It is answered "try again" meanwhile`;
}
