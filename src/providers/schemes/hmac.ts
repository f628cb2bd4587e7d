// HMAC over a template of parts: the most common scheme.
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { sameText } from '../equal.ts';
import type { Scheme } from '../provider.ts';
import { type Piece, secretPlace } from '../template/parts.ts';
import { decodeKey, type KeySpec } from './key.ts';
import { type Encoding, encodeBytes } from './signature.ts';
import { type SignedTemplateSpec, signedTemplate } from './signed-template.ts';

export interface HmacSpec extends SignedTemplateSpec {
  hash?: 'sha256' | 'sha1' | 'sha512';
  /** Default `text`. With a list, each form that fits the secret counts; signing uses the first of them. */
  key?: KeySpec | readonly KeySpec[];
}

export const hashBytes = { sha1: 20, sha256: 32, sha512: 64 } as const;

export function hmac(spec: HmacSpec): Scheme {
  const hash = spec.hash ?? 'sha256';
  const { encoding } = spec.signature;
  const readings = [spec.key ?? 'text'].flat() as readonly KeySpec[];
  const toKeys = (secret: string): KeyObject[] | undefined => {
    const keys = readings.flatMap((reading) => {
      const bytes = decodeKey(reading, secret);
      return bytes ? [createSecretKey(bytes)] : [];
    });
    return keys.length > 0 ? keys : undefined;
  };
  return signedTemplate(spec, {
    name: `HMAC-${hash.toUpperCase()}`,
    byteLength: hashBytes[hash],
    prepareKey: toKeys,
    matches(keys, pieces, candidates) {
      let isMatch = false;
      for (const key of keys) {
        const expected = digest(hash, key, pieces, encoding);
        for (const candidate of candidates) isMatch = sameText(expected, candidate) || isMatch;
      }
      return isMatch;
    },
    sign(secret, pieces) {
      const [key] = toKeys(secret) ?? [];
      if (!key) throw new Error('the secret does not have the form that this provider uses');
      return digest(hash, key, pieces, encoding);
    },
  });
}

function digest(hash: string, key: KeyObject, pieces: readonly Piece[], encoding: Encoding): string {
  const mac = createHmac(hash, key);
  for (const piece of pieces) {
    if (typeof piece === 'string') mac.update(piece, 'latin1');
    else if (piece !== secretPlace) mac.update(piece);
  }
  return encoding === 'base64-unpadded' ? encodeBytes(mac.digest(), encoding) : mac.digest(encoding);
}
