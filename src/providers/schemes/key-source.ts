// Where a scheme's public keys come from: one that is pinned, or many that are looked up by the id a request names.
import type { KeyObject } from 'node:crypto';
import type { Refusal } from '../provider.ts';

export type KeyOrRefusal = { key: KeyObject } | Refusal;

export interface KeySource {
  /** At once if the key is at hand; a promise if it has to be fetched. Never rejects. */
  find(id: string, now: Date): KeyOrRefusal | Promise<KeyOrRefusal>;
}

export function pinnedKey(key: KeyObject): KeySource {
  return { find: () => ({ key }) };
}

export const NO_KEY: KeySource = {
  find: () => ({ ok: false, reason: 'key_unavailable', detail: 'the secret is not of the right form' }),
};

/** The key goes on to `check`, with a promise only where the look-up needed one. */
export function withKey<T>(
  found: KeyOrRefusal | Promise<KeyOrRefusal>,
  check: (key: KeyObject) => T,
): T | Refusal | Promise<T | Refusal> {
  const next = (answer: KeyOrRefusal) => ('key' in answer ? check(answer.key) : answer);
  return found instanceof Promise ? found.then(next) : next(found);
}

export function unpublishedKey(): Refusal {
  return {
    ok: false,
    reason: 'wrong_signature',
    detail: 'signed with a key that the provider does not publish',
  };
}

/** The sender should try again: whether the signature is right cannot be said now. */
export function unfetchedKey(why: string): Refusal {
  return { ok: false, reason: 'key_unavailable', detail: `the provider's keys cannot be fetched: ${why}` };
}
