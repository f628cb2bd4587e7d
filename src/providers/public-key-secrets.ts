// What public keys look like as secrets, and fresh pairs of them for tests and for `postbell keys`.
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

/** A public key, held by us to check what the provider signs. */
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
      // Node would make a public key of it: but who has the private half of the provider's key can forge everything.
      if (secret.includes('PRIVATE KEY-----'))
        return 'is a private key; give the public key of the pair, and keep the private one elsewhere';
      return parsePublicKey(secret, kind, key) ? undefined : `is no ${kind} public key; copy it once more`;
    },
    generate: () => generateKeyPair(kind, key),
  };
}

const keyFormats = {
  'raw-hex': 'public key: 64 hexadecimal digits',
  'raw-base64': 'public key: base64 of 32 bytes',
  spki: 'public key: base64 (SPKI), or PEM',
} as const;

/** A pair for trials: its public half is what the source takes for its secret. */
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

/** As `publicKeySecret`, or the word `published`: then the keys are fetched from the provider's own address. */
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
