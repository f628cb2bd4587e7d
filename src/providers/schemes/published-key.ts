// A public-key signature whose key is published: the request names it, the provider's JWKS holds it.

import type { Scheme } from '../provider.ts';
import type { Template } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { withKey } from './key-source.ts';
import { perSecret } from './per-secret.ts';
import { type PublicKeySpec, publicKey, publicKeyAlgorithm } from './public-key.ts';
import { remoteKeys } from './remote-keys.ts';
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
      return (delivery) => {
        const reading = startReading(delivery, source);
        const id = readPart(spec.keyId, reading);
        if (typeof id !== 'string') return id;
        return withKey(keys.find(id, delivery.receivedAt, delivery.body.length), (key) =>
          verifySigned(spec, algorithm, [key], reading),
        );
      };
    },
  };
}
