// Which rejected requests a quarantine may keep, and which parts of them: enough to verify them later, and nothing else.
import type { Delivery, Provider, Rejection, RejectionReason, Source } from './provider.ts';
import { needsOfTemplates } from './schemes/needs.ts';

/** Beside those that the provider's scheme and events read. */
const alwaysKept = ['content-type', 'user-agent'];

/** Only these may become valid by another secret, URL or key. The others stay wrong: a replay (`too_old`) above all. */
const mendable: ReadonlySet<RejectionReason> = new Set([
  'wrong_signature',
  'malformed_signature',
  'missing_url',
  'key_unavailable',
]);

/** Why no request of this provider may be kept; undefined: they may. */
export function quarantineProblem({ title, scheme, body, events }: Provider): string | undefined {
  if (scheme.acceptsBearer)
    return `${title} proves requests by a credential (${scheme.summary}), which must not be stored`;
  if (body?.credentials)
    return `requests of ${title} hold a credential in their body, which must not be stored`;
  // Who can read the stored request could send another body with its proof.
  if (events.signedToken)
    return `${title} does not sign the whole event, so that a stored proof could be used for another`;
  return undefined;
}

/** Whether another secret could make the rejected delivery valid. A request without any proof is anybody's. */
export function couldBecomeValid(source: Source, { headers }: Delivery, { reason }: Rejection): boolean {
  if (mendable.has(reason)) return true;
  // E.g. signed by another of the provider's schemes, which the right secret selects.
  const { proofHeaders } = source.provider.scheme;
  return reason === 'missing_header' && proofHeaders.some((name) => headers[name] !== undefined);
}

/** The delivery without the headers, and without the query, that neither verifying nor reading its events needs. */
export function reducedToProof(source: Source, delivery: Delivery): Delivery {
  const { scheme, events, headers: keptWithEvent = [] } = source.provider;
  const templates = [events.id, events.topic, events.occurredAt?.at, events.signedAt];
  const ofEvents = needsOfTemplates(...templates);
  const names = [
    ...alwaysKept,
    ...keptWithEvent,
    ...scheme.proofHeaders,
    ...(scheme.readsHeaders ?? []),
    ...(ofEvents.readsHeaders ?? []),
  ];
  const keepsQuery = scheme.signsUrl || scheme.readsQuery || ofEvents.readsQuery;
  return {
    ...delivery,
    url: keepsQuery ? delivery.url : (delivery.url.split('?', 1)[0] ?? ''),
    headers: pick(delivery.headers, names),
  };
}

/** @param names a name that ends with `*` stands for all that begin so */
function pick(headers: Delivery['headers'], names: readonly string[]): Delivery['headers'] {
  const exact = new Set(names.filter((name) => !name.endsWith('*')));
  const starts = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  return Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => exact.has(name) || starts.some((start) => name.startsWith(start)),
    ),
  );
}
