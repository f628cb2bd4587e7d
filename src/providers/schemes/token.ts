// The compact form of a JSON Web Token: parsed strictly, built, signed and verified with a fixed algorithm.
import { createHmac, type KeyObject, sign, verify } from 'node:crypto';
import { sameText } from '../equal.ts';
import { isOfKind, type PublicKeyKind } from './public-key.ts';
import { decodeBytes } from './signature.ts';

export type Claims = Readonly<Record<string, unknown>>;

export interface Token {
  head: Claims;
  /** Undefined where the middle part is empty (detached) or no object. */
  claims: Claims | undefined;
  /** The three parts as sent. */
  parts: readonly [header: string, payload: string, signature: string];
}

/** The algorithm that a scheme accepts. The token's own `alg` never selects it. */
export type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256' | 'ES512';

/** The kind of key that the algorithm needs. */
export const keyKinds = {
  RS256: 'rsa-sha256',
  ES256: 'ecdsa-p256',
  ES512: 'ecdsa-p521',
} as const satisfies Partial<Record<TokenAlgorithm, PublicKeyKind>>;

const digests = { RS256: 'sha256', ES256: 'sha256', ES512: 'sha512' } as const;

/** Undefined where the text is no token, or the token has `crit`, which asks for unknown extensions. */
export function parseToken(text: string): Token | undefined {
  const parts = text.split('.', 4);
  const [header = '', payload = '', signature = ''] = parts;
  const head = parts.length === 3 ? parseObject(header) : undefined;
  if (!head || 'crit' in head) return undefined;
  return { head, claims: parseObject(payload), parts: [header, payload, signature] };
}

/** @param signed the first two parts with their dot; of a detached token, with the payload put in */
export function isSigned(
  algorithm: TokenAlgorithm,
  key: KeyObject,
  signed: string,
  signature: string,
): boolean {
  if (algorithm === 'HS256') return sameText(macOf(key, signed), signature);
  if (!isOfKind(key, keyKinds[algorithm])) return false;
  const bytes = decodeBytes(signature, 'base64url');
  return bytes !== undefined && verify(digests[algorithm], Buffer.from(signed), withEncoding(key), bytes);
}

export function signToken(algorithm: TokenAlgorithm, key: KeyObject, signed: string): string {
  if (algorithm === 'HS256') return macOf(key, signed);
  return sign(digests[algorithm], Buffer.from(signed), withEncoding(key)).toString('base64url');
}

export function encodeJson(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Tokens hold the two numbers of an ECDSA signature without DER. The option has no effect for RSA. */
function withEncoding(key: KeyObject) {
  return { key, dsaEncoding: 'ieee-p1363' } as const;
}

function macOf(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text, 'latin1').digest('base64url');
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
    // The text is no token; the caller reports that.
    return undefined;
  }
}
