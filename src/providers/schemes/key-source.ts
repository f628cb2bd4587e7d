// Sources of public keys: one pinned key, or many keys found by the id that a request names.
import type { KeyObject } from 'node:crypto';
import type { Rejection } from '../provider.ts';

export type KeyOrRejection = { key: KeyObject } | Rejection;

export interface KeySource {
  /**
   * The key itself if it is in memory; a promise if it must be fetched. The promise never rejects.
   * @param heldBytes size of the delivery, which stays in memory until then
   */
  find(id: string, now: Date, heldBytes: number): KeyOrRejection | Promise<KeyOrRejection>;
}

export function pinnedKey(key: KeyObject): KeySource {
  return { find: () => ({ key }) };
}

export const noKey: KeySource = {
  find: () => ({ ok: false, reason: 'key_unavailable', detail: 'the secret does not have the right form' }),
};

/** Calls `check` with the key; returns a promise only where the key is fetched. */
export function withKey<T>(
  found: KeyOrRejection | Promise<KeyOrRejection>,
  check: (key: KeyObject) => T,
): T | Rejection | Promise<T | Rejection> {
  const next = (answer: KeyOrRejection) => ('key' in answer ? check(answer.key) : answer);
  return found instanceof Promise ? found.then(next) : next(found);
}

/** The limit of bytes that wait for keys of one source: these deliveries are unverified, and anybody can send them. */
export const maxWaitingBytes = 32 * 1_048_576;
/** A body may take at most a quarter of the remaining bytes, so that many large bodies leave space for small ones. */
const largestPart = 4;

/** Lets a delivery wait for a fetch, or rejects it where too many bytes wait already. One per key source. */
export type WaitForKey = <T>(
  fetching: Promise<T | Rejection>,
  heldBytes: number,
) => Promise<T | Rejection> | Rejection;

export function createKeyWaits(maxBytes = maxWaitingBytes): WaitForKey {
  let waitingBytes = 0;
  return (fetching, heldBytes) => {
    // The first delivery may always wait: its body may be larger than a quarter.
    if (waitingBytes > 0 && heldBytes * largestPart > maxBytes - waitingBytes)
      return unfetchedKey('too many deliveries wait for a key');
    waitingBytes += heldBytes;
    return fetching.finally(() => {
      waitingBytes -= heldBytes;
    });
  };
}

export function unpublishedKey(): Rejection {
  return {
    ok: false,
    reason: 'wrong_signature',
    detail: 'signed with a key that the provider does not publish',
  };
}

/** The sender should send again: the signature cannot be checked now. */
export function unfetchedKey(reason: string): Rejection {
  return { ok: false, reason: 'key_unavailable', detail: `the provider's keys cannot be fetched: ${reason}` };
}

/**
 * The provider had no such key at the last fetch, which was for an earlier delivery, and the next fetch must wait. The
 * provider may have published the key since then: a 4xx would lose the event at senders that do not retry after a 4xx.
 */
export function unaskedKey(answer = 'it was not published'): Rejection {
  return unfetchedKey(`${answer} at the last fetch; the next fetch follows soon`);
}
