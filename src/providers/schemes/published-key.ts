// A public-key signature with a key from the provider's JWKS: the request names the key, or every key is tried.
import type { Scheme, Verdict } from '../provider.ts';
import type { Template } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { withKey } from './key-source.ts';
import { namesIn } from './needs.ts';
import { perSecret } from './per-secret.ts';
import { type PublicKeySpec, publicKey, publicKeyAlgorithm } from './public-key.ts';
import { type KeysOrRejection, remoteKeys } from './remote-keys.ts';
import { verifySigned } from './signed-template.ts';

export interface PublishedKeySpec extends PublicKeySpec {
  jwksUrl: string;
  /** Absent where the request names no key: every published key is then tried. */
  keyId?: Template;
}

/** This secret means: use the provider's published keys. Any other secret is a pinned public key. */
export const publishedKeys = 'published';

export function publishedKey(spec: PublishedKeySpec): Scheme {
  const pinned = publicKey(spec);
  return perSecret(
    { scheme: pinned, when: (secret) => secret !== publishedKeys },
    { scheme: spec.keyId === undefined ? byAnyKey(spec, pinned) : byKeyId(spec, spec.keyId, pinned) },
  );
}

function byKeyId(spec: PublishedKeySpec, keyId: Template, pinned: Scheme): Scheme {
  const algorithm = publicKeyAlgorithm(spec);
  return {
    ...pinned,
    summary: summaryOf(spec, pinned),
    readsHeaders: [...(pinned.readsHeaders ?? []), ...namesIn(keyId, 'header')],
    prepare(source) {
      const keys = remoteKeys(spec.jwksUrl, source);
      return (delivery) => {
        const reading = startReading(delivery, source);
        const id = readPart(keyId, reading);
        if (typeof id !== 'string') return id;
        return withKey(keys.find(id, delivery.receivedAt, delivery.body.length), (key) =>
          verifySigned(spec, algorithm, [key], reading),
        );
      };
    },
  };
}

/** Where a signature fits none of the keys in memory, the keys are fetched once more, as for an unknown id. */
function byAnyKey(spec: PublishedKeySpec, pinned: Scheme): Scheme {
  const algorithm = publicKeyAlgorithm(spec);
  return {
    ...pinned,
    summary: summaryOf(spec, pinned),
    prepare(source) {
      const keys = remoteKeys(spec.jwksUrl, source);
      return (delivery) => {
        const check = (found: KeysOrRejection): Verdict =>
          'ok' in found ? found : verifySigned(spec, algorithm, found, startReading(delivery, source));
        // Malformed or too old deliveries are rejected before any key is fetched.
        const form = check([]);
        if (!form.ok && form.reason !== 'key_unavailable') return form;
        return after(keys.all(delivery.receivedAt, false, delivery.body.length), (found) => {
          const verdict = check(found);
          if (verdict.ok || verdict.reason !== 'wrong_signature') return verdict;
          return after(keys.all(delivery.receivedAt, true, delivery.body.length), check);
        });
      };
    },
  };
}

function after<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function summaryOf({ jwksUrl }: PublishedKeySpec, pinned: Scheme): string {
  return `${pinned.summary}, key from ${new URL(jwksUrl).host}`;
}
