// Where a scheme's public keys come from: one that is pinned, or many that are looked up by the id a request names.
import type { KeyObject } from 'node:crypto';
import type { Rejection } from '../provider.ts';

export type KeyOrRejection = { key: KeyObject } | Rejection;

export interface KeySource {
  /**
   * At once if the key is at hand; a promise if it has to be fetched. Never rejects.
   * @param heldBytes of the delivery, which stays in memory until then
   */
  find(id: string, now: Date, heldBytes: number): KeyOrRejection | Promise<KeyOrRejection>;
}

export function pinnedKey(key: KeyObject): KeySource {
  return { find: () => ({ key }) };
}

export const noKey: KeySource = {
  find: () => ({ ok: false, reason: 'key_unavailable', detail: 'the secret is not of the right form' }),
};

/** The key goes on to `check`, with a promise only where the look-up needed one. */
export function withKey<T>(
  found: KeyOrRejection | Promise<KeyOrRejection>,
  check: (key: KeyObject) => T,
): T | Rejection | Promise<T | Rejection> {
  const next = (answer: KeyOrRejection) => ('key' in answer ? check(answer.key) : answer);
  return found instanceof Promise ? found.then(next) : next(found);
}

/** What may wait for the keys of one source: nothing of it is proven, and anybody can send it. */
export const maxWaitingBytes = 32 * 1_048_576;
/** A body may take such a part of the room that is left: however many large ones come, small ones find some. */
const largestPart = 4;

/** Lets a delivery wait for a fetch, or refuses it for now where too much waits. One per key source. */
export type WaitForKey = <T>(
  fetching: Promise<T | Rejection>,
  heldBytes: number,
) => Promise<T | Rejection> | Rejection;

export function createKeyWaits(maxBytes = maxWaitingBytes): WaitForKey {
  let waitingBytes = 0;
  return (fetching, heldBytes) => {
    // The first may always: a body may be larger than any part.
    if (waitingBytes > 0 && heldBytes * largestPart > maxBytes - waitingBytes)
      return unfetchedKey('too many deliveries wait for one');
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

/** The sender should try again: whether the signature is right cannot be said now. */
export function unfetchedKey(why: string): Rejection {
  return { ok: false, reason: 'key_unavailable', detail: `the provider's keys cannot be fetched: ${why}` };
}

/**
 * The provider had no such key when it was last asked, for an earlier delivery, and may not be asked again so soon. It
 * may have published the key since then: to say no would lose an event at senders that take a 4xx for the last word.
 */
export function unaskedKey(answer = 'it was not published'): Rejection {
  return unfetchedKey(`${answer} when last asked for, and is asked for again soon`);
}
