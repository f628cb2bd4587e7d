// A public-key signature whose key is published: the request names it, the provider's JWKS holds it.
import type { Template } from '../parts.ts';
import type { Scheme, Verdict } from '../provider.ts';
import { readPart, startReading } from '../reading.ts';
import { perSecret } from './per-secret.ts';
import { type PublicKeySpec, publicKey, publicKeyAlgorithm } from './public-key.ts';
import { type KeyOrRefusal, remoteKeys } from './remote-keys.ts';
import { verifySigned } from './signed-template.ts';

export interface PublishedKeySpec extends PublicKeySpec {
  jwksUrl: string;
  keyId: Template;
}

/** As a secret: use the provider's published keys. Any other secret is a public key, pinned. */
export const PUBLISHED_KEYS = 'published';

export function publishedKey(spec: PublishedKeySpec): Scheme {
  const pinned = publicKey(spec);
  return perSecret(
    { scheme: pinned, when: (secret) => secret !== PUBLISHED_KEYS },
    { scheme: byKeyId(spec, pinned) },
  );
}

function byKeyId(spec: PublishedKeySpec, pinned: Scheme): Scheme {
  const algorithm = publicKeyAlgorithm(spec);
  return {
    ...pinned,
    summary: `${pinned.summary}, key from ${new URL(spec.jwksUrl).host}`,
    prepare(source) {
      const keys = remoteKeys(spec.jwksUrl, source);
      return (delivery): Verdict | Promise<Verdict> => {
        const reading = startReading(delivery, source);
        const id = readPart(spec.keyId, reading);
        if (typeof id !== 'string') return id;
        const check = (found: KeyOrRefusal): Verdict =>
          'key' in found ? verifySigned(spec, algorithm, [found.key], reading) : found;
        const found = keys.find(id, delivery.receivedAt);
        return found instanceof Promise ? found.then(check) : check(found);
      };
    },
  };
}
