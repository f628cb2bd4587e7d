// A JSON Web Token signed with a shared secret: HS256 only, with claims that bind the token to the delivery.
import { createSecretKey, type KeyObject } from 'node:crypto';
import type { Rejection, Scheme, Verdict } from '../provider.ts';
import type { Part, Reading } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { maxSignatureChars, placeValue, proofHeadersOf } from './signature.ts';
import { encodeJson, isSigned, parseToken, signToken, type Token } from './token.ts';
import { type ClaimRules, checkClaims, freshnessOfClaims, makeClaims } from './token-claims.ts';

export interface JwtSpec extends ClaimRules {
  at: Part;
  /** The text before the token, e.g. `Bearer `. */
  prefix?: string;
  /** The part of the secret that is the key; default all of it. */
  keyOf?: (secret: string) => string;
  /** The expected `iss`. */
  issuerOf?: (secret: string) => string;
}

interface JwtKey {
  key: KeyObject;
  issuer: string | undefined;
}

export function jwt(spec: JwtSpec): Scheme {
  const place = proofHeadersOf(spec.at).join() || 'the request';
  const bound = spec.bodyHash ? 'a hash of the body' : `${spec.computed?.claim ?? 'its claims'}`;
  return {
    summary: `JWT HS256 with ${bound} in ${place}`,
    proofHeaders: proofHeadersOf(spec.at),
    proofParams: [],
    ...(spec.bodyHash ? {} : { acceptsBearer: true }),
    signsBody: spec.bodyHash !== undefined,
    signsUrl: spec.url !== undefined,
    ...(spec.expires === 'timeless' ? {} : { freshness: freshnessOfClaims(spec) }),
    prepare(source) {
      const keys = source.secrets.map((secret) => prepareKey(spec, secret));
      return (delivery) => verifyToken(spec, keys, startReading(delivery, source));
    },
    sign(request, source, { now }) {
      const key = prepareKey(spec, source.secrets[0] ?? '');
      if (!key) throw new Error('the secret does not have the form that this provider uses');
      const issuer = key.issuer === undefined ? {} : { iss: key.issuer };
      const claims = { ...issuer, ...makeClaims(spec, request, source, now) };
      const signed = `${encodeJson({ alg: 'HS256', typ: 'JWT' })}.${encodeJson(claims)}`;
      placeValue(request, spec.at, `${spec.prefix ?? ''}${signed}.${signToken('HS256', key.key, signed)}`);
    },
  };
}

function prepareKey(spec: JwtSpec, secret: string): JwtKey | undefined {
  const text = spec.keyOf?.(secret) ?? secret;
  if (text === '') return undefined;
  return { key: createSecretKey(Buffer.from(text)), issuer: spec.issuerOf?.(secret) };
}

function verifyToken(spec: JwtSpec, keys: readonly (JwtKey | undefined)[], reading: Reading): Verdict {
  const token = readToken(spec, reading);
  if ('ok' in token) return token;
  const { head, claims, parts } = token;
  if (head.alg !== 'HS256' || !claims) return malformedToken('not an HS256 token');
  if (keys.every((key) => key === undefined)) return { ok: false, reason: 'key_unavailable' };
  const signed = `${parts[0]}.${parts[1]}`;
  const secretIndex = keys.findIndex((key) => key && isSigned('HS256', key.key, signed, parts[2]));
  if (secretIndex < 0) return { ok: false, reason: 'wrong_signature' };
  const issuer = keys[secretIndex]?.issuer;
  if (issuer !== undefined && claims.iss !== issuer)
    return { ok: false, reason: 'wrong_signature', detail: 'iss names another issuer' };
  return checkClaims(spec, claims, reading.delivery, reading.source) ?? { ok: true, secretIndex };
}

/** Reads the token at the scheme's place and splits it into its parts. */
export function readToken(
  { at, prefix = '' }: Pick<JwtSpec, 'at' | 'prefix'>,
  reading: Reading,
  maxChars = maxSignatureChars,
): Token | Rejection {
  const text = readPart(at, reading);
  if (typeof text !== 'string') return text;
  if (text.length > maxChars || !text.startsWith(prefix)) return malformedToken('no token');
  return parseToken(text.slice(prefix.length)) ?? malformedToken('the token does not have three parts');
}

export function malformedToken(detail: string): Rejection {
  return { ok: false, reason: 'malformed_signature', detail };
}
