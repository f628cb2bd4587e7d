// Public keys that a provider publishes: fetched from the one address it names, cached, and never on demand of a
// flood of forged key ids.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Refusal, Source } from '../provider.ts';

export const FETCH_TIMEOUT_MS = 3_000;
export const MAX_KEY_BYTES = 256 * 1024;
/** Kept so long; after that they are fetched anew, and used on while that fails. */
export const KEYS_FRESH_MS = 6 * 3600 * 1000;
/** An unknown key id makes us look again, but not more often than this. */
export const MIN_REFETCH_MS = 30_000;

export interface RemoteKeys {
  /** At once if the key is cached; a promise if the keys have to be fetched. */
  find(id: string, now: Date): KeyOrRefusal | Promise<KeyOrRefusal>;
}

export type KeyOrRefusal = { key: KeyObject } | Refusal;

/** The keys of a JWKS document by their `kid`. One per source: it is made when the source is prepared. */
export function remoteKeys(url: string, source: Source): RemoteKeys {
  const fetchText = source.fetchText ?? fetchHttps;
  let keys = new Map<string, KeyObject>();
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let failure: string | undefined;
  let underWay: Promise<void> | undefined;

  async function fetchKeys(nowMs: number): Promise<void> {
    triedAtMs = nowMs;
    try {
      keys = parseJwks(await fetchText(url));
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
    return failure === undefined
      ? {
          ok: false,
          reason: 'wrong_signature',
          detail: 'signed with a key that the provider does not publish',
        }
      : { ok: false, reason: 'key_unavailable', detail: `the provider's keys cannot be fetched: ${failure}` };
  }

  return {
    find(id, now) {
      const nowMs = now.getTime();
      if (keys.has(id) && nowMs - fetchedAtMs < KEYS_FRESH_MS) return answer(id);
      if (!underWay && nowMs - triedAtMs < MIN_REFETCH_MS) return answer(id);
      underWay ??= fetchKeys(nowMs).then(() => {
        underWay = undefined;
      });
      return underWay.then(() => answer(id));
    },
  };
}

/** Keys that Node cannot read are left out: a provider may publish other kinds beside its own. */
export function parseJwks(text: string): Map<string, KeyObject> {
  const document: unknown = JSON.parse(text);
  const list: unknown =
    typeof document === 'object' && document !== null ? Reflect.get(document, 'keys') : undefined;
  if (!Array.isArray(list)) throw new Error('no JWKS: it has no list of keys');
  const keys = new Map<string, KeyObject>();
  for (const jwk of list) {
    if (typeof jwk?.kid !== 'string' || jwk.d !== undefined) continue;
    try {
      keys.set(jwk.kid, createPublicKey({ key: jwk, format: 'jwk' }));
    } catch {
      // Left out, see above.
    }
  }
  return keys;
}

async function fetchHttps(url: string): Promise<string> {
  if (!url.startsWith('https://')) throw new Error('keys are fetched over HTTPS only');
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok || !response.body) throw new Error(`the provider's keys answered ${response.status}`);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_KEY_BYTES) throw new Error("the provider's keys are too long");
  }
  return text;
}
