// Public keys that a provider publishes: fetched from the one address it names, cached, and never on demand of a
// flood of forged key ids.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { describeError } from '../../errors.ts';
import type { Rejection, Source } from '../provider.ts';
import { fetchText } from './fetch-text.ts';
import {
  createKeyWaits,
  type KeyOrRejection,
  type KeySource,
  unaskedKey,
  unfetchedKey,
  unpublishedKey,
} from './key-source.ts';

/** Kept so long; after that they are fetched anew, and used on while that fails. */
export const keysFreshMs = 6 * 3600 * 1000;
/** An unknown key id makes us look again, but not more often than this. */
export const minRefetchMs = 30_000;

export type KeysOrRejection = readonly KeyObject[] | Rejection;

export interface RemoteKeys extends KeySource {
  /** Every key, for senders that name none. `anew`: those at hand did not fit, as with an unknown id. Never rejects. */
  all(now: Date, anew: boolean, heldBytes: number): KeysOrRejection | Promise<KeysOrRejection>;
}

/** The keys of a JWKS document by their `kid`. One per source: it is made when the source is prepared. */
export function remoteKeys(url: string, source: Source): RemoteKeys {
  const fetchJwks = source.fetchText ?? fetchText;
  let keys = new Map<string, KeyObject>();
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let underWay: Promise<void> | undefined;
  const waitForKey = createKeyWaits();

  async function fetchKeys(nowMs: number): Promise<void> {
    triedAtMs = nowMs;
    try {
      keys = parseJwks(await fetchJwks(url));
      fetchedAtMs = nowMs;
      failure = undefined;
    } catch (error) {
      // The keys that we have stay in force; a delivery that needs another one says why it is not there.
      failure = describeError(error).text;
    }
  }

  /** @param absent what to say where the keys that were fetched hold no such id */
  function answer(id: string, absent: () => Rejection): KeyOrRejection {
    const key = keys.get(id);
    if (key) return { key };
    return failure === undefined ? absent() : unfetchedKey(failure);
  }

  /** The fetch under way, or a new one. */
  function fetchOnce(nowMs: number): Promise<void> {
    underWay ??= fetchKeys(nowMs).finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  return {
    find(id, now, heldBytes) {
      const nowMs = now.getTime();
      if (keys.has(id) && nowMs - fetchedAtMs < keysFreshMs) return answer(id, unaskedKey);
      if (underWay ? keys.has(id) : nowMs - triedAtMs < minRefetchMs) return answer(id, unaskedKey);
      // Only a fetch that began after the delivery came can tell that nobody published its key.
      const absent = underWay ? unaskedKey : unpublishedKey;
      return waitForKey(
        fetchOnce(nowMs).then(() => answer(id, absent)),
        heldBytes,
      );
    },
    all(now, anew, heldBytes) {
      const nowMs = now.getTime();
      const atHand = (): KeysOrRejection =>
        keys.size > 0 ? [...keys.values()] : unfetchedKey(failure ?? 'none is published');
      if (!anew && keys.size > 0 && nowMs - fetchedAtMs < keysFreshMs) return atHand();
      if (!underWay && nowMs - triedAtMs < minRefetchMs) return anew ? unaskedKey() : atHand();
      // As in `find`: a fetch that began before the delivery came cannot tell that no published key fits.
      const isTooEarly = anew && underWay !== undefined;
      return waitForKey(
        fetchOnce(nowMs).then((): KeysOrRejection => {
          if (anew && failure !== undefined) return unfetchedKey(failure);
          return isTooEarly ? unaskedKey() : atHand();
        }),
        heldBytes,
      );
    },
  };
}

/**
 * Keys that Node cannot read are left out: a provider may publish other kinds beside its own. One without a `kid` gets its
 * place for an id, which is of use only to `all`.
 */
export function parseJwks(text: string): Map<string, KeyObject> {
  const document: unknown = JSON.parse(text);
  const list: unknown =
    typeof document === 'object' && document !== null ? Reflect.get(document, 'keys') : undefined;
  if (!Array.isArray(list)) throw new Error('no JWKS: it has no list of keys');
  const keys = new Map<string, KeyObject>();
  for (const [place, jwk] of list.entries()) {
    const kid = jwk?.kid === undefined ? `#${place}` : jwk.kid;
    if (typeof kid !== 'string' || jwk?.d !== undefined) continue;
    try {
      keys.set(kid, createPublicKey({ key: jwk, format: 'jwk' }));
    } catch {
      // Left out, see above.
    }
  }
  return keys;
}
