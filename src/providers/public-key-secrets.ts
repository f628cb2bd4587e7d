// Public keys in place of secrets: their checks, and new key pairs for tests and for `postbell keys`.
import { generateKeyPairSync } from 'node:crypto';
import type { GeneratedSecret, SecretSpec } from './provider.ts';
import {
  curves,
  formatPublicKey,
  type PublicKeyFormat,
  type PublicKeyKind,
  parsePublicKey,
} from './schemes/public-key.ts';
import { publishedKeys } from './schemes/published-key.ts';
import type { SecretText } from './secrets.ts';

/** A public key that verifies the provider's signatures. */
export function publicKeySecret(
  spec: SecretText & { kind: PublicKeyKind; key: PublicKeyFormat },
): SecretSpec {
  const { kind, key } = spec;
  return {
    label: spec.label,
    format: spec.format ?? keyFormats[key.format],
    where: spec.where,
    check(secret) {
      if (secret.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
      // Node would derive the public key from it. But a holder of the private key can forge every delivery.
      if (secret.includes('PRIVATE KEY-----'))
        return 'is a private key; give the public key of the pair, and keep the private one elsewhere';
      return parsePublicKey(secret, kind, key) ? undefined : `is no ${kind} public key; copy it again`;
    },
    generate: () => generateKeyPair(kind, key),
  };
}

const keyFormats = {
  'raw-hex': 'public key: 64 hexadecimal digits',
  'raw-base64': 'public key: base64 of 32 bytes',
  spki: 'public key: base64 (SPKI), or PEM',
} as const;

/** A key pair for trials: the public key is the secret of the source. */
export function generateKeyPair(kind: PublicKeyKind, key: PublicKeyFormat): GeneratedSecret {
  const pair =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'ecdsa-p256' || kind === 'ecdsa-p521'
        ? generateKeyPairSync('ec', { namedCurve: curves[kind] })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { secret: formatPublicKey(pair.publicKey, key), privateKey };
}

/** As `publicKeySecret`, or the word `published`: Postbell then fetches the keys from the provider's own address. */
export function publishedKeySecret(
  spec: SecretText & { kind: PublicKeyKind; key: PublicKeyFormat },
): SecretSpec {
  const pinned = publicKeySecret(spec);
  return {
    ...pinned,
    format: `the word ${publishedKeys} (keys are fetched), or one ${pinned.format} to pin`,
    check: (secret) => (secret === publishedKeys ? undefined : pinned.check(secret)),
  };
}
