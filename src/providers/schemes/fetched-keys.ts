// Keys fetched one by one under the id that a request names: cached, limited, and never one fetch per forged id.
import type { KeyObject } from 'node:crypto';
import { describeError } from '../../errors.ts';
import type { Rejection } from '../provider.ts';
import {
  createKeyWaits,
  type KeyOrRejection,
  type KeySource,
  unaskedKey,
  unfetchedKey,
  unpublishedKey,
} from './key-source.ts';

/** After this time a key is fetched again. While the fetch fails, the old key stays in use. */
export const keyFreshMs = 6 * 3600 * 1000;
/** The provider answered that a key does not exist: that id is not fetched again during this time. */
export const absentMs = 10 * 60_000;
/** A fetch failed: that id is not fetched again during this time. */
export const failedMs = 10_000;
/**
 * The limit of fetches for unknown ids: a burst of `fetchBurst`, then one each `fetchEveryMs` on average. A forged id
 * looks like a new id of the provider. Beside 50 forged ids a second, about every tenth attempt of a genuine delivery
 * gets a fetch; the others get 503 and are sent again. The first success serves all waiting deliveries. A cached key
 * needs no fetch.
 */
export const fetchBurst = 20;
export const fetchEveryMs = 100;
const maxKeys = 50;
const maxRemembered = 1_000;
const maxIdChars = 1_000;

export interface FetchedKey {
  key: KeyObject;
  /** The key is valid between these times. */
  validFromMs?: number;
  validToMs?: number;
}

/** There is no such key, or the key is not trusted. The text is for the operator. */
export interface Untrusted {
  untrusted: string;
}

interface CachedKey extends FetchedKey {
  fetchedAtMs: number;
}

/** @param load rejects where the fetch failed, so that the existence of the key stays unknown */
export function fetchedKeys(load: (id: string, nowMs: number) => Promise<FetchedKey | Untrusted>): KeySource {
  const keys = new Map<string, CachedKey>();
  /** Rejections by id, each valid until `untilMs`. */
  const rejections = new Map<string, { rejection: Rejection; untilMs: number }>();
  const underWay = new Map<string, Promise<KeyOrRejection>>();
  const waitForKey = createKeyWaits();
  let fetchesLeft = fetchBurst;
  let nextFetchAtMs = 0;

  function mayFetch(nowMs: number): boolean {
    while (fetchesLeft < fetchBurst && nowMs >= nextFetchAtMs) {
      fetchesLeft++;
      nextFetchAtMs += untilNextFetchMs();
    }
    if (fetchesLeft < 1) return false;
    if (fetchesLeft === fetchBurst) nextFetchAtMs = nowMs + untilNextFetchMs();
    fetchesLeft--;
    return true;
  }

  async function fetchKey(id: string, nowMs: number): Promise<KeyOrRejection> {
    try {
      const found = await load(id, nowMs);
      if ('key' in found) {
        remember(keys, id, { ...found, fetchedAtMs: nowMs }, maxKeys);
        rejections.delete(id);
        return judge(found, nowMs);
      }
      keys.delete(id);
      const rejection: Rejection = { ok: false, reason: 'wrong_signature', detail: found.untrusted };
      remember(rejections, id, { rejection, untilMs: nowMs + absentMs }, maxRemembered);
      return rejection;
    } catch (error) {
      const rejection = unfetchedKey(describeError(error).text);
      remember(rejections, id, { rejection, untilMs: nowMs + failedMs }, maxRemembered);
      const old = keys.get(id);
      return old ? judge(old, nowMs) : rejection;
    }
  }

  return {
    find(id, now, heldBytes) {
      if (id.length > maxIdChars) return unpublishedKey();
      const nowMs = now.getTime();
      const cached = keys.get(id);
      if (cached && nowMs - cached.fetchedAtMs < keyFreshMs) return judge(cached, nowMs);
      const pending = underWay.get(id);
      if (pending) return cached ? judge(cached, nowMs) : waitForKey(pending.then(unlessAbsent), heldBytes);
      const known = rejections.get(id);
      if (known && nowMs < known.untilMs)
        return cached ? judge(cached, nowMs) : unlessAbsent(known.rejection);
      if (!cached && !mayFetch(nowMs)) return unfetchedKey('requests named too many unknown keys');
      const fetching = fetchKey(id, nowMs).finally(() => underWay.delete(id));
      underWay.set(id, fetching);
      return waitForKey(fetching, heldBytes);
    },
  };
}

/** "No such key" rejects only the delivery that caused the fetch. The others are asked to come again. */
function unlessAbsent(answer: KeyOrRejection): KeyOrRejection {
  return 'key' in answer || answer.reason === 'key_unavailable' ? answer : unaskedKey(answer.detail);
}

/** A random gap: with even gaps, a flood in the same rhythm could take every fetch. */
function untilNextFetchMs(): number {
  return 2 * fetchEveryMs * Math.random();
}

function judge({ key, validFromMs = 0, validToMs = Number.POSITIVE_INFINITY }: FetchedKey, nowMs: number) {
  if (nowMs >= validFromMs && nowMs <= validToMs) return { key };
  return {
    ok: false,
    reason: 'wrong_signature',
    detail: "the signer's key is not valid at this time",
  } as const;
}

/** Adds an entry; a full map drops its oldest. */
function remember<T>(map: Map<string, T>, id: string, value: T, max: number): void {
  map.delete(id);
  map.set(id, value);
  const oldest = map.keys().next().value;
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
