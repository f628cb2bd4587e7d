// Public keys that a provider publishes: fetched from the one address it names, cached, and never on demand of a
// flood of forged key ids.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Refusal, Source } from '../provider.ts';
import { fetchText } from './fetch-text.ts';
import { type KeyOrRefusal, type KeySource, unfetchedKey, unpublishedKey } from './key-source.ts';

/** Kept so long; after that they are fetched anew, and used on while that fails. */
export const KEYS_FRESH_MS = 6 * 3600 * 1000;
/** An unknown key id makes us look again, but not more often than this. */
export const MIN_REFETCH_MS = 30_000;

export type KeysOrRefusal = readonly KeyObject[] | Refusal;

export interface RemoteKeys extends KeySource {
  /** Every key, for senders that name none. `anew`: those at hand did not fit, as with an unknown id. Never rejects. */
  all(now: Date, anew: boolean): KeysOrRefusal | Promise<KeysOrRefusal>;
}

/** The keys of a JWKS document by their `kid`. One per source: it is made when the source is prepared. */
export function remoteKeys(url: string, source: Source): RemoteKeys {
  const fetchJwks = source.fetchText ?? fetchText;
  let keys = new Map<string, KeyObject>();
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let underWay: Promise<void> | undefined;

  async function fetchKeys(nowMs: number): Promise<void> {
    triedAtMs = nowMs;
    try {
      keys = parseJwks(await fetchJwks(url));
      fetchedAtMs = nowMs;
      failure = undefined;
    } catch (error) {
      // The keys that we have stay in force; a delivery that needs another one says why it is not there.
      failure = error instanceof Error ? error.message : 'unknown failure';
    }
  }

  function answer(id: string): KeyOrRefusal {
    const key = keys.get(id);
    if (key) return { key };
    return failure === undefined ? unpublishedKey() : unfetchedKey(failure);
  }

  function answerAll(anew: boolean): KeysOrRefusal {
    if (keys.size === 0 || (anew && failure !== undefined))
      return unfetchedKey(failure ?? 'none is published');
    return [...keys.values()];
  }

  /** At once where the keys are fresh or may not be fetched yet. */
  function afterFetch<T>(now: Date, isAtHand: boolean, result: () => T): T | Promise<T> {
    const nowMs = now.getTime();
    if (isAtHand && nowMs - fetchedAtMs < KEYS_FRESH_MS) return result();
    if (!underWay && nowMs - triedAtMs < MIN_REFETCH_MS) return result();
    underWay ??= fetchKeys(nowMs).then(() => {
      underWay = undefined;
    });
    return underWay.then(result);
  }

  return {
    find: (id, now) => afterFetch(now, keys.has(id), () => answer(id)),
    all: (now, anew) => afterFetch(now, keys.size > 0 && !anew, () => answerAll(anew)),
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
