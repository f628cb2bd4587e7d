// The claims that bind a token to one delivery: time, hash of the body, URL, or another claim of the provider.
import { hash, randomUUID } from 'node:crypto';
import { sameText } from '../equal.ts';
import type { Delivery, Freshness, OutgoingRequest, Rejection, Source } from '../provider.ts';
import { asDelivery } from './delivery.ts';
import { checkAgeMs } from './freshness.ts';
import { type Encoding, encodeBytes } from './signature.ts';
import type { Claims } from './token.ts';

export interface ClaimRules {
  /** The claim that holds the SHA-256 of the raw body. */
  bodyHash?: {
    claim: string;
    encoding: Encoding /** It may be missing where the body is empty. */;
    absentIfEmpty?: true;
  };
  /** The claim that holds the configured URL, or its hash. */
  url?: { claim: string; encoding: Encoding | 'text' };
  /** A claim that must equal a value computed from method and URL, e.g. Atlassian's `qsh`. */
  computed?: { claim: string; value(delivery: Delivery, source: Source): string };
  /** The allowed difference between the clocks. */
  leewaySeconds: number;
  /** From `iat`; signing sets `exp` to this time. */
  lifetimeSeconds: number;
  /**
   * False where genuine tokens carry no `exp`: then `iat` alone limits the age. `timeless` where they carry no time at
   * all: then no age is checked, and a signature stays valid for ever.
   */
  expires: boolean | 'timeless';
}

export function freshnessOfClaims({ lifetimeSeconds, leewaySeconds }: ClaimRules): Freshness {
  return { pastSeconds: lifetimeSeconds + leewaySeconds, futureSeconds: leewaySeconds };
}

export function checkClaims(
  rules: ClaimRules,
  claims: Claims,
  delivery: Delivery,
  source: Source,
): Rejection | undefined {
  return checkTimes(rules, claims, delivery) ?? checkContent(rules, claims, delivery, source);
}

/** The claims that a provider would put into a token for this request. */
export function makeClaims(
  rules: ClaimRules,
  request: OutgoingRequest,
  source: Source,
  now: Date,
): Record<string, unknown> {
  const iat = Math.floor(now.getTime() / 1000);
  const isTimeless = rules.expires === 'timeless';
  const claims: Record<string, unknown> = isTimeless ? {} : { iat, nbf: iat, jti: randomUUID() };
  if (rules.expires === true) claims.exp = iat + rules.lifetimeSeconds;
  const { bodyHash, url, computed } = rules;
  if (bodyHash) claims[bodyHash.claim] = hashed(request.body, bodyHash.encoding);
  if (url) claims[url.claim] = urlClaim(url.encoding, source.webhookUrl ?? request.url);
  if (computed) claims[computed.claim] = computed.value(asDelivery(request, now), source);
  return claims;
}

function checkTimes(rules: ClaimRules, claims: Claims, { receivedAt }: Delivery): Rejection | undefined {
  const { exp, nbf, iat } = claims;
  const { leewaySeconds, lifetimeSeconds } = rules;
  if (rules.expires === 'timeless') return undefined;
  for (const time of [exp, nbf, iat])
    if (time !== undefined && !(typeof time === 'number' && Math.abs(time) < 1e11))
      return { ok: false, reason: 'malformed_timestamp' };
  if (typeof exp === 'number') {
    const rejection = checkAgeMs(exp * 1000, true, receivedAt, leewaySeconds, Number.POSITIVE_INFINITY);
    if (rejection) return rejection;
  } else if (rules.expires) return { ok: false, reason: 'malformed_timestamp', detail: 'no exp' };
  if (typeof iat === 'number') {
    const past = rules.expires ? Number.POSITIVE_INFINITY : lifetimeSeconds + leewaySeconds;
    const rejection = checkAgeMs(iat * 1000, true, receivedAt, past, leewaySeconds);
    if (rejection) return rejection;
  } else if (!rules.expires) return { ok: false, reason: 'malformed_timestamp', detail: 'no iat' };
  if (typeof nbf !== 'number') return undefined;
  return checkAgeMs(nbf * 1000, true, receivedAt, Number.POSITIVE_INFINITY, leewaySeconds);
}

function checkContent(
  { bodyHash, url, computed }: ClaimRules,
  claims: Claims,
  delivery: Delivery,
  source: Source,
): Rejection | undefined {
  if (bodyHash && !equalsClaim(claims[bodyHash.claim], hashed(delivery.body, bodyHash.encoding))) {
    const isLeftOut = claims[bodyHash.claim] === undefined && delivery.body.length === 0;
    if (!bodyHash.absentIfEmpty || !isLeftOut)
      return { ...wrong('the signature is for another body'), mismatch: 'body' };
  }
  if (computed && !equalsClaim(claims[computed.claim], computed.value(delivery, source)))
    return { ...wrong(`${computed.claim} belongs to another request`), mismatch: 'url' };
  if (!url) return undefined;
  if (source.webhookUrl === undefined)
    return { ok: false, reason: 'missing_url', detail: 'the URL is signed' };
  const isSame = equalsClaim(claims[url.claim], urlClaim(url.encoding, source.webhookUrl));
  return isSame ? undefined : { ...wrong('the signature is for another URL'), mismatch: 'url' };
}

/** Ignores padding: providers send base64url with and without. */
function equalsClaim(claimed: unknown, expected: string): boolean {
  return (
    typeof claimed === 'string' &&
    sameText(expected, expected.endsWith('=') ? claimed : claimed.replace(/=+$/, ''))
  );
}

function hashed(data: Buffer | string, encoding: Encoding): string {
  return encodeBytes(hash('sha256', data, 'buffer'), encoding);
}

function urlClaim(encoding: Encoding | 'text', url: string): string {
  return encoding === 'text' ? url : hashed(url, encoding);
}

function wrong(detail: string): Rejection {
  return { ok: false, reason: 'wrong_signature', detail };
}
