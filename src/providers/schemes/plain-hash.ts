// A plain hash with the secret among the hashed parts: weaker than an HMAC, but used by some providers.
import { createHash } from 'node:crypto';
import { sameText } from '../equal.ts';
import type { Scheme } from '../provider.ts';
import { type Piece, secretPlace } from '../template/parts.ts';
import { hashBytes } from './hmac.ts';
import { type Encoding, encodeBytes } from './signature.ts';
import { type SignedTemplateSpec, signedTemplate } from './signed-template.ts';

type Hash = keyof typeof hashBytes;

export interface PlainHashSpec extends SignedTemplateSpec {
  /** The accepted hashes, since the account's setting decides; signing uses the first. */
  hashes: readonly [Hash, ...Hash[]];
}

/** The template `message` must contain the part `secret`. */
export function plainHash(spec: PlainHashSpec): Scheme {
  const { hashes } = spec;
  const { encoding } = spec.signature;
  const names = hashes.map((hash) => hash.toUpperCase()).join(' or ');
  return signedTemplate(spec, {
    name: `plain ${names} with the secret inside`,
    ...(hashes.length === 1 ? { byteLength: hashBytes[hashes[0]] } : {}),
    prepareKey: (secret) => (secret === '' ? undefined : secret),
    matches(secret, pieces, candidates) {
      let isMatch = false;
      for (const hash of hashes) {
        const expected = digest(hash, secret, pieces, encoding);
        for (const candidate of candidates) isMatch = sameText(expected, candidate) || isMatch;
      }
      return isMatch;
    },
    sign: (secret, pieces) => digest(hashes[0], secret, pieces, encoding),
  });
}

function digest(hash: Hash, secret: string, pieces: readonly Piece[], encoding: Encoding): string {
  const hasher = createHash(hash);
  for (const piece of pieces) {
    if (piece === secretPlace) hasher.update(secret, 'utf8');
    else if (typeof piece === 'string') hasher.update(piece, 'latin1');
    else hasher.update(piece);
  }
  return encodeBytes(hasher.digest(), encoding);
}
