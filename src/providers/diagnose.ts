// Finds out for the operator why a delivery was rejected. The caller never sees the result. In a flood not each delivery is diagnosed.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bodyAlterations, urlVariants } from './alterations.ts';
import type { Delivery, Provider, Rejection, RejectionReason, Source } from './provider.ts';
import { providers } from './registry.ts';
import { verifyDelivery } from './verify.ts';

/** The diagnosed cause of a rejection; the verifier's own reason where the diagnosis finds no more. */
export type Finding =
  | RejectionReason
  /** Signed with none of our secrets, and not altered in a way that Postbell knows. */
  | 'wrong_secret'
  /** Signed with the secret of another source. */
  | 'other_secret'
  /** A valid delivery of another source, sent to the path of this source. */
  | 'wrong_path'
  /** Valid once the change that a proxy made to the body is undone. */
  | 'altered_body'
  /** Valid for another URL than the configured one. */
  | 'wrong_url';

export interface Diagnosis {
  reason: Finding;
  /** For the operator; holds no secret and nothing of the body. */
  detail: string | null;
}

interface Attempt {
  source: Source;
  delivery: Delivery;
  found: Diagnosis;
}

/** A longer body is not diagnosed: an attempt blocks the event loop, and may take a millisecond for 50 KB. */
const maxBodyBytes = 128 * 1024;
/** The limit of bytes for all attempts together. Between the attempts the event loop continues. */
const budgetBytes = 4 * 1024 * 1024;
/** The fixed cost of an attempt, counted as bytes. */
const attemptBytes = 4096;
const maxDetailChars = 500;
const tooMuch = 'the diagnosis stopped at its limit';

const mismatches = { body: 'altered_body', url: 'wrong_url' } as const;

/** A diagnosis makes no requests: keys that are not in memory stay unknown. */
const offline = async (): Promise<string> => {
  throw new Error('not for a diagnosis');
};

/**
 * Tries changes that would make the delivery valid. Yields to the event loop between the attempts, and stops after
 * a bounded amount of work.
 * @param sources all active sources
 */
export async function diagnoseRejection(
  source: Source,
  delivery: Delivery,
  rejection: Rejection,
  sources: Iterable<Source>,
): Promise<Diagnosis> {
  const { reason, detail = null } = rejection;
  if (reason === 'too_old' || reason === 'too_new') return diagnoseAge(source, delivery, rejection);
  if (delivery.body.length > maxBodyBytes) return { reason, detail: bounded([detail, tooMuch]) };
  let budget = budgetBytes;
  for (const { source: tried, delivery: altered, found } of attempts(source, delivery, reason, [
    ...sources,
  ])) {
    budget -= altered.body.length + attemptBytes;
    if (budget < 0) return { reason, detail: bounded([detail, tooMuch]) };
    if ((await verifyDelivery(tried, altered)).ok) return { ...found, detail: bounded([found.detail]) };
    await nextTurn();
  }
  if (source.provider.handover?.read(delivery) !== undefined)
    return {
      reason,
      detail: bounded([
        detail,
        `the delivery hands over a secret: run postbell setup ${source.name} first, and use the URL that it prints`,
      ]),
    };
  if (delivery.body.length === 0 && source.provider.scheme.signsBody)
    return { reason, detail: bounded([detail, 'the body arrived empty']) };
  if (reason !== 'wrong_signature')
    return { reason, detail: bounded([detail, senderHint(source, delivery)]) };
  if (rejection.mismatch) return { reason: mismatches[rejection.mismatch], detail };
  return { reason: 'wrong_secret', detail };
}

/** Ends the detail of a delivery that is too old or too new, and whose signature is also not valid for its own time. */
export const unconfirmed = 'its signature could not be confirmed';

/** An old delivery with a valid signature points to a wrong clock or a late retry; without one, it may be forged. */
async function diagnoseAge(source: Source, delivery: Delivery, rejection: Rejection): Promise<Diagnosis> {
  const { reason, detail, ageMs = 0 } = rejection;
  const receivedAt = new Date(delivery.receivedAt.getTime() - ageMs);
  const isRight =
    delivery.body.length <= maxBodyBytes && (await verifyDelivery(source, { ...delivery, receivedAt })).ok;
  const { pastSeconds, futureSeconds } = source.provider.scheme.freshness ?? {};
  const allowed = reason === 'too_old' ? pastSeconds : futureSeconds;
  const age = allowed === undefined ? detail : `${detail}, ${allowed} are allowed`;
  return { reason, detail: bounded([age, isRight ? 'its signature is right' : unconfirmed]) };
}

function* attempts(
  source: Source,
  delivery: Delivery,
  reason: RejectionReason,
  sources: readonly Source[],
): Generator<Attempt> {
  const others = sources.filter(({ name }) => name !== source.name);
  const own = { ...source, fetchText: offline };
  // Also for a missing or malformed proof: a proof in the body is altered together with the body.
  if (reason !== 'missing_url' && reason !== 'key_unavailable') {
    // Uses the source object itself: its verifier already holds the keys that it fetched.
    if (source.provider.scheme.signsBody)
      for (const { body, undoneBy } of bodyAlterations(delivery))
        yield {
          source,
          delivery: { ...delivery, body },
          found: { reason: 'altered_body', detail: `the signature is right once ${undoneBy}` },
        };
    if (source.provider.scheme.signsUrl && source.webhookUrl !== undefined)
      for (const webhookUrl of urlVariants(source.webhookUrl, delivery))
        yield {
          source: { ...own, webhookUrl },
          delivery,
          found: {
            reason: 'wrong_url',
            detail: `signed for ${withoutQuery(webhookUrl)}, not for ${withoutQuery(source.webhookUrl)}`,
          },
        };
    for (const { name, secrets } of others)
      yield {
        source: { ...own, secrets },
        delivery,
        found: { reason: 'other_secret', detail: `signed with the secret of ${name}` },
      };
  }
  for (const other of others)
    yield {
      source: { ...other, fetchText: offline },
      delivery,
      found: { reason: 'wrong_path', detail: `a valid delivery of the source ${other.name}` },
    };
}

/** Names the other providers whose proof headers the delivery carries. */
function senderHint(source: Source, { headers }: Delivery): string | null {
  const own = new Set(source.provider.scheme.proofHeaders);
  const isTelling = (name: string) =>
    name !== 'authorization' && !own.has(name) && headers[name] !== undefined;
  const senders = new Map<string, string[]>();
  for (const { name, scheme } of Object.values<Provider>(providers)) {
    const header = scheme.proofHeaders.find(isTelling);
    if (header !== undefined) senders.set(header, [...(senders.get(header) ?? []), name]);
  }
  const hints = [...senders].map(([header, names]) => `${header} as ${names.slice(0, 3).join(' or ')} does`);
  return hints.length === 0 ? null : `the delivery carries ${hints.slice(0, 3).join(', ')}`;
}

/** A query may hold a credential. */
function withoutQuery(url: string): string {
  const [base = '', query] = url.split('?', 2);
  return query === undefined ? base : `${base}?…`;
}

function bounded(parts: readonly (string | null | undefined)[]): string | null {
  const text = parts.filter((part) => part).join('; ');
  return text === '' ? null : text.slice(0, maxDetailChars);
}
