// Why a delivery was rejected, diagnosed for the operator: never for the caller, and never for each delivery of a flood.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bodyAlterations, urlVariants } from './alterations.ts';
import type { Delivery, Provider, Rejection, RejectionReason, Source } from './provider.ts';
import { providers } from './registry.ts';
import { verifyDelivery } from './verify.ts';

/** What a closer look makes of a rejection; those of the verifier stay where it finds no more. */
export type Finding =
  | RejectionReason
  /** Signed with none of our secrets, and altered in no way we know. */
  | 'wrong_secret'
  /** Signed with the secret of another source. */
  | 'other_secret'
  /** A right delivery of another source, sent to this one's path. */
  | 'wrong_path'
  /** Right but for what a proxy did to the body. */
  | 'altered_body'
  /** Right but for the URL that we think was signed. */
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

/** A longer body is not looked at: an attempt is not interrupted, and reading one again may take a millisecond for 50 KB. */
const maxBodyBytes = 128 * 1024;
/** What all attempts may read together, in turns between which the event loop goes on. */
const budgetBytes = 4 * 1024 * 1024;
/** Stands for what an attempt costs besides its body. */
const attemptBytes = 4096;
const maxDetailChars = 500;
const tooMuch = 'too much to look at closely';

const mismatches = { body: 'altered_body', url: 'wrong_url' } as const;

/** For a diagnosis nobody is called: keys that are not at hand stay unknown. */
const offline = async (): Promise<string> => {
  throw new Error('not for a diagnosis');
};

/**
 * Tries out what would have made the delivery right. Yields to the event loop between the attempts, and gives up after
 * a bounded amount of work.
 * @param sources all that are on
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
        `it hands over a secret: run postbell setup ${source.name} first, and use the URL that it prints`,
      ]),
    };
  if (delivery.body.length === 0 && source.provider.scheme.signsBody)
    return { reason, detail: bounded([detail, 'the body arrived empty']) };
  if (reason !== 'wrong_signature')
    return { reason, detail: bounded([detail, senderHint(source, delivery)]) };
  if (rejection.mismatch) return { reason: mismatches[rejection.mismatch], detail };
  return { reason: 'wrong_secret', detail };
}

/** Ends the detail of a delivery that is too old or too new, and not proven for its own time either. */
export const unconfirmed = 'its signature could not be confirmed';

/** An old delivery that is right otherwise speaks for a clock or a late retry; any other is a forgery, too. */
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
  // Also where a proof is missing or malformed: it may stand in the body, which was altered.
  if (reason !== 'missing_url' && reason !== 'key_unavailable') {
    // With the source itself: keys that were fetched for its verifier are at hand.
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
      found: { reason: 'wrong_path', detail: `a right delivery of the source ${other.name}` },
    };
}

/** Whose headers these are, where they are not of this provider. */
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
  return hints.length === 0 ? null : `it carries ${hints.slice(0, 3).join(', ')}`;
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
