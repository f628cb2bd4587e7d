// Says why deliveries were rejected, and the remedy: for `doctor` and the operators' page.
import type { RejectedRequest } from '../events/rejected-requests.ts';
import { type Diagnosis, type Provider, type Source, unconfirmed } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';

/** The sources of the configuration. */
export interface KnownSources {
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`: declared sources without a secret. */
  waiting: ReadonlyMap<string, Provider>;
}

/** Rejections of one source for one reason. */
export interface RejectionGroup {
  /** Newest first, at least one. */
  rejected: readonly RejectedRequest[];
  remedy: string;
}

/** @param rejected newest first */
export function groupRejections(rejected: readonly RejectedRequest[], known: KnownSources): RejectionGroup[] {
  const groups = Map.groupBy(rejected, ({ source, reason }) => `${source} ${reason}`);
  return [...groups.values()].map((group) => ({ rejected: group, remedy: remedyFor(group[0]!, known) }));
}

const clock: Remedy = (_variable, _source, detail) =>
  detail?.endsWith(unconfirmed)
    ? 'an old forgery, or the secret is wrong as well: check clock and secret only if the provider sent this request'
    : 'check the clock of this machine (see clock); a delivery that was recorded and sent again is rejected as well';
const sender = 'check that the provider sent this request; a proxy in front may drop or double headers';

type Remedy = (variable: string, source: Source | undefined, detail: string | null) => string;

const copySecret: Remedy = (variable, source) => {
  const where = source ? ` (${source.provider.secret.where})` : '';
  return `copy the secret again into ${variable}_WEBHOOK_SECRET${where}; during a rotation list both secrets, newest first`;
};

/** The remedy for each diagnosis. */
const remedies: Record<Diagnosis['reason'] | 'too_large', Remedy> = {
  too_large: (_variable, source) =>
    `raise BODY_LIMIT_BYTES, restart web, and let the provider send the delivery again${source?.provider.redelivery ? ` (${source.provider.redelivery})` : ''}`,
  missing_header: () => sender,
  repeated_header: () => sender,
  malformed_signature: (_, source) =>
    `${sender}; expected: ${source?.provider.scheme.summary ?? 'see providers'}`,
  malformed_timestamp: () => sender,
  too_old: clock,
  too_new: clock,
  missing_url: (variable) => `the signature covers the URL: set PUBLIC_URL or ${variable}_WEBHOOK_URL`,
  key_unavailable: () =>
    "the provider's key could not be fetched: check that this machine reaches the provider's host",
  wrong_signature: copySecret,
  wrong_secret: copySecret,
  other_secret: (variable) =>
    `the secret of another source was used: put that secret into ${variable}_WEBHOOK_SECRET, or give the provider the other source's URL`,
  wrong_path: () => "the URL at the provider is wrong: it must end with the other source's name",
  altered_body: () =>
    'a proxy, gateway or framework in front changes the body: configure it to pass the bytes unchanged',
  wrong_url: (variable) =>
    `set ${variable}_WEBHOOK_URL to exactly the URL that the provider has (or correct PUBLIC_URL)`,
};

export function remedyFor(
  { source: name, reason, detail }: Pick<RejectedRequest, 'source' | 'reason' | 'detail'>,
  { sources, waiting }: KnownSources,
): string {
  const source = sources.get(name);
  if (reason === 'no_secret')
    return source
      ? 'the source has a secret now: restart web if the rejections go on'
      : noSecret(name, waiting.get(name));
  const known = Object.hasOwn(remedies, reason) ? remedies[reason as keyof typeof remedies] : copySecret;
  return known(variableOf(name), source, detail);
}

/** @param provider undefined: the name is known from stored events only */
function noSecret(name: string, provider: Provider | undefined): string {
  if (provider?.isOnlyPulled)
    return 'the source is only pulled and has no webhooks: remove the webhook at the sender, or declare the source with the provider that signs it';
  const variable = `${variableOf(name)}_WEBHOOK_SECRET`;
  const how = !provider
    ? `${variable} and POSTBELL_SOURCES=${name}=<provider>`
    : provider.handover
      ? `${variable} (to get the secret, run: postbell setup ${name})`
      : `${variable} (${provider.secret.where})`;
  return `if the webhook is yours, set ${how}; otherwise remove it at the provider. Until then its deliveries are answered "try again"`;
}
