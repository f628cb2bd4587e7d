// Signatures with the provider's private key: Ed25519, ECDSA (P-256, P-521) and RSA over a template of parts.
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { Scheme } from '../provider.ts';
import { type Piece, secretPlace } from '../template/parts.ts';
import { decodeBytes, encodeBytes } from './signature.ts';
import { type Algorithm, type SignedTemplateSpec, signedTemplate } from './signed-template.ts';

export type PublicKeyKind = 'ed25519' | 'ecdsa-p256' | 'ecdsa-p521' | 'rsa-sha256' | 'rsa-sha1';

/**
 * `raw-hex`, `raw-base64`: the 32 bytes of an Ed25519 key, after `prefix` if one is given. `spki`: base64 of the
 * DER structure without the PEM lines; PEM is accepted too.
 */
export interface PublicKeyFormat {
  format: 'raw-hex' | 'raw-base64' | 'spki';
  prefix?: string;
}

export interface PublicKeySpec extends SignedTemplateSpec {
  kind: PublicKeyKind;
  key: PublicKeyFormat;
}

const kindNames = {
  ed25519: 'Ed25519',
  'ecdsa-p256': 'ECDSA P-256 with SHA-256',
  'ecdsa-p521': 'ECDSA P-521 with SHA-512',
  'rsa-sha256': 'RSA with SHA-256',
  'rsa-sha1': 'RSA with SHA-1',
} as const;
const digests = {
  ed25519: null,
  'ecdsa-p256': 'sha256',
  'ecdsa-p521': 'sha512',
  'rsa-sha256': 'sha256',
  'rsa-sha1': 'sha1',
} as const;
export const curves = { 'ecdsa-p256': 'prime256v1', 'ecdsa-p521': 'secp521r1' } as const;
/** The DER prefix of the 32 bytes of an Ed25519 public key. */
const ed25519Spki = Buffer.from('302a300506032b6570032100', 'hex');
const minRsaBits = 2048;

export function publicKey(spec: PublicKeySpec): Scheme {
  return signedTemplate(spec, publicKeyAlgorithm(spec));
}

export function publicKeyAlgorithm(spec: PublicKeySpec): Algorithm<KeyObject> {
  const { kind } = spec;
  const { encoding } = spec.signature;
  return {
    name: kindNames[kind],
    ...(kind === 'ed25519' ? { byteLength: 64 } : {}),
    prepareKey: (secret) => parsePublicKey(secret, kind, spec.key),
    matches(key, pieces, candidates) {
      const message = joined(pieces);
      return candidates.some((candidate) => {
        const signature = decodeBytes(candidate, encoding);
        return signature !== undefined && verify(digests[kind], message, key, signature);
      });
    },
    sign(_publicKey, pieces, { privateKey }) {
      return encodeBytes(sign(digests[kind], joined(pieces), privateKeyOf(privateKey)), encoding);
    },
  };
}

/** Throws with the remedy where the key is missing: only the provider holds the real private key. */
export function privateKeyOf(pem: string | undefined): KeyObject {
  if (pem !== undefined) return createPrivateKey(pem);
  throw new Error(
    'only the provider holds the private key: make a pair for testing with `postbell keys` and pass its private key',
  );
}

/** Undefined where the text is no public key of that kind, or the key is too weak. */
export function parsePublicKey(
  text: string,
  kind: PublicKeyKind,
  format: PublicKeyFormat,
): KeyObject | undefined {
  const bare = format.prefix && text.startsWith(format.prefix) ? text.slice(format.prefix.length) : text;
  try {
    const key = createPublicKey(keyInput(bare, format.format));
    return isOfKind(key, kind) ? key : undefined;
  } catch {
    // The text is no key; the caller names the variable and the expected form.
    return undefined;
  }
}

export function formatPublicKey(key: KeyObject, { format, prefix = '' }: PublicKeyFormat): string {
  const spki = key.export({ type: 'spki', format: 'der' });
  if (format === 'spki') return spki.toString('base64');
  return prefix + spki.subarray(ed25519Spki.length).toString(format === 'raw-hex' ? 'hex' : 'base64');
}

function keyInput(text: string, format: PublicKeyFormat['format']) {
  // Environment variables often carry the line breaks of a PEM as the two characters \n.
  if (text.includes('-----BEGIN')) return text.replaceAll('\\n', '\n');
  if (format === 'spki') return { key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' } as const;
  const raw = format === 'raw-hex' ? decodeBytes(text.toLowerCase(), 'hex') : decodeBytes(text, 'base64');
  if (raw?.length !== 32) throw new Error('not 32 bytes');
  return { key: Buffer.concat([ed25519Spki, raw]), format: 'der', type: 'spki' } as const;
}

/** False for RSA keys below 2048 bits, too. */
export function isOfKind(key: KeyObject, kind: PublicKeyKind): boolean {
  const details = key.asymmetricKeyDetails;
  if (kind === 'ed25519') return key.asymmetricKeyType === 'ed25519';
  if (kind === 'ecdsa-p256' || kind === 'ecdsa-p521')
    return key.asymmetricKeyType === 'ec' && details?.namedCurve === curves[kind];
  return key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= minRsaBits;
}

function joined(pieces: readonly Piece[]): Buffer {
  const buffers: Buffer[] = [];
  for (const piece of pieces)
    if (piece !== secretPlace) buffers.push(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
  return Buffer.concat(buffers);
}
