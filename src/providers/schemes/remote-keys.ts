// Public keys that a provider publishes at one fixed address: fetched and cached. A flood of forged key ids causes no
// flood of fetches.
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

/** After this time the keys are fetched again. While the fetch fails, the old keys stay in use. */
export const keysFreshMs = 6 * 3600 * 1000;
/** An unknown key id causes a new fetch, but not more often than this. */
export const minRefetchMs = 30_000;

export type KeysOrRejection = readonly KeyObject[] | Rejection;

export interface RemoteKeys extends KeySource {
  /** All keys, for senders that name none. `mustRefetch`: the keys in memory did not fit. The promise never rejects. */
  all(now: Date, mustRefetch: boolean, heldBytes: number): KeysOrRejection | Promise<KeysOrRejection>;
}

/** The keys of a JWKS document by their `kid`. One per source, made when the source is prepared. */
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
      // The old keys stay in use. A delivery that needs another key is rejected with this reason.
      failure = describeError(error).text;
    }
  }

  /** @param absent the rejection where the fetched keys do not contain the id */
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
      // Only a fetch that began after the arrival proves that the key is not published.
      const absent = underWay ? unaskedKey : unpublishedKey;
      return waitForKey(
        fetchOnce(nowMs).then(() => answer(id, absent)),
        heldBytes,
      );
    },
    all(now, mustRefetch, heldBytes) {
      const nowMs = now.getTime();
      const atHand = (): KeysOrRejection =>
        keys.size > 0 ? [...keys.values()] : unfetchedKey(failure ?? 'none is published');
      if (!mustRefetch && keys.size > 0 && nowMs - fetchedAtMs < keysFreshMs) return atHand();
      if (!underWay && nowMs - triedAtMs < minRefetchMs) return mustRefetch ? unaskedKey() : atHand();
      // As in `find`: a fetch that began before the arrival does not prove that no published key fits.
      const isTooEarly = mustRefetch && underWay !== undefined;
      return waitForKey(
        fetchOnce(nowMs).then((): KeysOrRejection => {
          if (mustRefetch && failure !== undefined) return unfetchedKey(failure);
          return isTooEarly ? unaskedKey() : atHand();
        }),
        heldBytes,
      );
    },
  };
}

/**
 * Skips keys that Node cannot read: a provider may publish keys of other kinds, too. A key without a `kid` gets its
 * position as id, which only `all` can use.
 */
export function parseJwks(text: string): Map<string, KeyObject> {
  const document: unknown = JSON.parse(text);
  const list: unknown =
    typeof document === 'object' && document !== null ? Reflect.get(document, 'keys') : undefined;
  if (!Array.isArray(list)) throw new Error('the answer is no JWKS: its list of keys is missing');
  const keys = new Map<string, KeyObject>();
  for (const [place, jwk] of list.entries()) {
    const kid = jwk?.kid === undefined ? `#${place}` : jwk.kid;
    if (typeof kid !== 'string' || jwk?.d !== undefined) continue;
    try {
      keys.set(kid, createPublicKey({ key: jwk, format: 'jwk' }));
    } catch {
      // Skipped, see above.
    }
  }
  return keys;
}
