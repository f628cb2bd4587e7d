// Verifies a delivery for the receiver.
import type { Delivery, Source, Verdict, Verifier } from './provider.ts';

// A memo, not state: keys are decoded once per source object, and forgotten with it.
const verifiers = new WeakMap<Source, Verifier>();

/**
 * Never throws, and its promise never rejects, whatever was sent. Returns the verdict itself where the key is in memory,
 * a promise only where the key must be fetched. `source.secrets` must not change afterwards: make a new source.
 */
export function verifyDelivery(source: Source, delivery: Delivery): Verdict | Promise<Verdict> {
  try {
    let verifier = verifiers.get(source);
    if (!verifier) {
      verifier = source.provider.scheme.prepare(source);
      verifiers.set(source, verifier);
    }
    const verdict = verifier(delivery);
    return verdict instanceof Promise ? verdict.catch(rejectAfterFault) : verdict;
  } catch (error) {
    return rejectAfterFault(error);
  }
}

/** An error in our own code rejects the delivery and informs the operator: no delivery is accepted by accident. */
function rejectAfterFault(error: unknown): Verdict {
  const name = error instanceof Error ? error.name : typeof error;
  return { ok: false, reason: 'malformed_signature', detail: `the verifier failed with ${name}` };
}
