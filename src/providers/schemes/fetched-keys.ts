// Keys that are fetched one by one, each under the id that a request names: cached, bounded, and never one fetch per
// forged id.
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

/** A key is asked for again after so long, and used on while that fails. */
export const keyFreshMs = 6 * 3600 * 1000;
/** The provider said that there is no such key: it is not asked again for so long. */
export const absentMs = 10 * 60_000;
/** A fetch failed: no new one for that id for so long. */
export const failedMs = 10_000;
/**
 * Ids that are new to us: so many fetches at once, and one more each `fetchEveryMs` on average. Nothing tells a
 * forged id from a new one of the provider's, so under a flood a genuine delivery has its share of them (503 until then,
 * tried again): beside 50 forged ids a second about every tenth is asked for. Its first success ends the wait of all,
 * and a key that is here needs no share.
 */
export const fetchBurst = 20;
export const fetchEveryMs = 100;
const maxKeys = 50;
const maxRemembered = 1_000;
const maxIdChars = 1_000;

export interface FetchedKey {
  key: KeyObject;
  /** Not before and not after these instants. */
  validFromMs?: number;
  validToMs?: number;
}

/** There is no such key, or none to be believed; said to the operator. */
export interface Untrusted {
  untrusted: string;
}

interface CachedKey extends FetchedKey {
  fetchedAtMs: number;
}

/** @param load rejects where it could not be found out whether there is such a key */
export function fetchedKeys(load: (id: string, nowMs: number) => Promise<FetchedKey | Untrusted>): KeySource {
  const keys = new Map<string, CachedKey>();
  /** Rejections that hold until an instant. */
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
      if (!cached && !mayFetch(nowMs)) return unfetchedKey('too many unknown keys were named');
      const fetching = fetchKey(id, nowMs).finally(() => underWay.delete(id));
      underWay.set(id, fetching);
      return waitForKey(fetching, heldBytes);
    },
  };
}

/** Only the delivery for which the provider was asked is told that there is no such key. */
function unlessAbsent(answer: KeyOrRejection): KeyOrRejection {
  return 'key' in answer || answer.reason === 'key_unavailable' ? answer : unaskedKey(answer.detail);
}

/** Uneven: a flood in step with even gaps would be there first each time. */
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

/** The oldest goes first. */
function remember<T>(map: Map<string, T>, id: string, value: T, max: number): void {
  map.delete(id);
  map.set(id, value);
  const oldest = map.keys().next().value;
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}
