// The receiver's question: may this delivery be believed?
import type { Delivery, Source, Verdict, Verifier } from './provider.ts';

// A memo, not state: keys are decoded once per source object, and forgotten with it.
const verifiers = new WeakMap<Source, Verifier>();

/**
 * Never throws and never rejects, whatever was sent. Answers at once (no promise) wherever the key is at hand;
 * a promise only where it has to be fetched. `source.secrets` must not be changed afterwards: make a new source.
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

/** A fault of ours rejects the delivery and tells the operator: no delivery is believed by accident. */
function rejectAfterFault(error: unknown): Verdict {
  const name = error instanceof Error ? error.name : typeof error;
  return { ok: false, reason: 'malformed_signature', detail: `the verifier failed with ${name}` };
}
