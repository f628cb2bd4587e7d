// A JSON Web Token that carries a hash of the body: HS256 only, with the claims that tie it to this delivery.
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { sameText } from '../equal.ts';
import type { Part, Reading } from '../parts.ts';
import type { Delivery, Refusal, Scheme, Source, Verdict } from '../provider.ts';
import { readPart, startReading } from '../reading.ts';
import { checkAgeMs } from './freshness.ts';
import {
  decodeBytes,
  type Encoding,
  encodeBytes,
  MAX_SIGNATURE_CHARS,
  placeValue,
  proofHeadersOf,
} from './signature.ts';

export interface JwtSpec {
  at: Part;
  /** Must stand before the token, e.g. `Bearer `. */
  prefix?: string;
  /** The claim that holds the SHA-256 of the raw body. */
  bodyHash: { claim: string; encoding: Encoding };
  /** The claim that holds the configured URL, or its hash. */
  url?: { claim: string; encoding: Encoding | 'text' };
  /** The part of the secret that is the key; default all of it. */
  keyOf?: (secret: string) => string;
  /** What `iss` must be. */
  issuerOf?: (secret: string) => string;
  /** Clocks may differ by so much. */
  leewaySeconds: number;
  /** From `iat`; also what we put into `exp`. */
  lifetimeSeconds: number;
  /** False where genuine tokens carry no `exp`: then `iat` alone bounds the age. */
  expires: boolean;
}

type Claims = Readonly<Record<string, unknown>>;

interface JwtKey {
  key: KeyObject;
  issuer: string | undefined;
}

/** Pinned: what the token itself says of its algorithm decides nothing. */
const HEADER = '{"alg":"HS256","typ":"JWT"}';

export function jwt(spec: JwtSpec): Scheme {
  return {
    summary: `JWT HS256 with a hash of the body in ${proofHeadersOf(spec.at).join() || 'the request'}`,
    proofHeaders: proofHeadersOf(spec.at),
    proofParams: [],
    signsBody: true,
    signsUrl: spec.url !== undefined,
    freshness: { pastSeconds: spec.lifetimeSeconds + spec.leewaySeconds, futureSeconds: spec.leewaySeconds },
    prepare(source) {
      const keys = source.secrets.map((secret) => prepareKey(spec, secret));
      return (delivery) => verifyToken(spec, keys, startReading(delivery, source));
    },
    sign(request, source, { now }) {
      const key = prepareKey(spec, source.secrets[0] ?? '');
      if (!key) throw new Error('the secret is not of the form this provider uses');
      const iat = Math.floor(now.getTime() / 1000);
      const claims: Record<string, unknown> = {
        ...(key.issuer === undefined ? {} : { iss: key.issuer }),
        iat,
        nbf: iat,
        ...(spec.expires ? { exp: iat + spec.lifetimeSeconds } : {}),
        [spec.bodyHash.claim]: hashed(request.body, spec.bodyHash.encoding),
      };
      if (spec.url) claims[spec.url.claim] = urlClaim(spec.url.encoding, source.webhookUrl ?? request.url);
      const signed = `${base64url(HEADER)}.${base64url(JSON.stringify(claims))}`;
      placeValue(request, spec.at, `${spec.prefix ?? ''}${signed}.${macOf(key.key, signed)}`);
    },
  };
}

function prepareKey(spec: JwtSpec, secret: string): JwtKey | undefined {
  const text = spec.keyOf?.(secret) ?? secret;
  if (text === '') return undefined;
  return { key: createSecretKey(Buffer.from(text)), issuer: spec.issuerOf?.(secret) };
}

function verifyToken(spec: JwtSpec, keys: readonly (JwtKey | undefined)[], reading: Reading): Verdict {
  const text = readPart(spec.at, reading);
  if (typeof text !== 'string') return text;
  const prefix = spec.prefix ?? '';
  if (text.length > MAX_SIGNATURE_CHARS || !text.startsWith(prefix)) return malformed('no token');
  const parts = text.slice(prefix.length).split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3) return malformed('not three parts');
  const head = parseObject(header);
  const claims = parseObject(payload);
  if (head?.alg !== 'HS256' || 'crit' in head || !claims) return malformed('not an HS256 token');
  if (keys.every((key) => key === undefined)) return { ok: false, reason: 'key_unavailable' };
  const secretIndex = keys.findIndex(
    (key) => key !== undefined && sameText(macOf(key.key, `${header}.${payload}`), signature),
  );
  if (secretIndex < 0) return { ok: false, reason: 'wrong_signature' };
  const issuer = keys[secretIndex]?.issuer;
  if (issuer !== undefined && claims.iss !== issuer) return wrong('iss is another');
  return (
    checkTimes(spec, claims, reading.delivery) ??
    checkContent(spec, claims, reading.delivery, reading.source) ?? { ok: true, secretIndex }
  );
}

function checkTimes(spec: JwtSpec, claims: Claims, { receivedAt }: Delivery): Refusal | undefined {
  const { exp, nbf, iat } = claims;
  const { leewaySeconds, lifetimeSeconds } = spec;
  for (const time of [exp, nbf, iat])
    if (time !== undefined && !(typeof time === 'number' && Math.abs(time) < 1e11))
      return { ok: false, reason: 'malformed_timestamp' };
  if (typeof exp === 'number') {
    const refusal = checkAgeMs(exp * 1000, true, receivedAt, leewaySeconds, Number.POSITIVE_INFINITY);
    if (refusal) return refusal;
  } else if (spec.expires) return { ok: false, reason: 'malformed_timestamp', detail: 'no exp' };
  if (typeof iat === 'number') {
    const past = spec.expires ? Number.POSITIVE_INFINITY : lifetimeSeconds + leewaySeconds;
    const refusal = checkAgeMs(iat * 1000, true, receivedAt, past, leewaySeconds);
    if (refusal) return refusal;
  } else if (!spec.expires) return { ok: false, reason: 'malformed_timestamp', detail: 'no iat' };
  if (typeof nbf !== 'number') return undefined;
  return checkAgeMs(nbf * 1000, true, receivedAt, Number.POSITIVE_INFINITY, leewaySeconds);
}

function checkContent(
  spec: JwtSpec,
  claims: Claims,
  delivery: Delivery,
  source: Source,
): Refusal | undefined {
  const claimed = claims[spec.bodyHash.claim];
  if (typeof claimed !== 'string' || !sameText(hashed(delivery.body, spec.bodyHash.encoding), claimed))
    return { ...wrong('the body is not the one that was signed'), mismatch: 'body' };
  if (!spec.url) return undefined;
  if (source.webhookUrl === undefined)
    return { ok: false, reason: 'missing_url', detail: 'the URL is signed' };
  const url = claims[spec.url.claim];
  const isSame = typeof url === 'string' && sameText(urlClaim(spec.url.encoding, source.webhookUrl), url);
  return isSame ? undefined : { ...wrong('the URL is not the one that was signed'), mismatch: 'url' };
}

function parseObject(part: string): Claims | undefined {
  const bytes = decodeBytes(part, 'base64url');
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    // No token then, which is what the caller says.
    return undefined;
  }
}

function macOf(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text, 'latin1').digest('base64url');
}

function hashed(data: Buffer | string, encoding: Encoding): string {
  return encodeBytes(hash('sha256', data, 'buffer'), encoding);
}

function urlClaim(encoding: Encoding | 'text', url: string): string {
  return encoding === 'text' ? url : hashed(url, encoding);
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

function malformed(detail: string): Refusal {
  return { ok: false, reason: 'malformed_signature', detail };
}

function wrong(detail: string): Refusal {
  return { ok: false, reason: 'wrong_signature', detail };
}
