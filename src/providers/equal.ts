// The one comparison of secrets and digests.
import { timingSafeEqual } from 'node:crypto';

/** True if both are the same text. Lengths may leak, contents do not; never throws. */
export function sameText(expected: string, candidate: string): boolean {
  if (expected.length !== candidate.length) return false;
  const a = Buffer.from(expected, 'utf8');
  const b = Buffer.from(candidate, 'utf8');
  return a.length === b.length && timingSafeEqual(a, b);
}
