// Random ids and numbers for the sample bodies.
import { randomBytes, randomInt } from 'node:crypto';

/** The prefix and 24 letters or digits. */
export function randomId(prefix = ''): string {
  return prefix + randomBytes(12).toString('hex');
}

/** A number of that many digits, the first not 0; a safe integer up to 14 digits. */
export function randomNumber(digits: number): number {
  return randomInt(10 ** (digits - 1), 10 ** digits);
}

/** Seconds since 1970. */
export function unixSeconds(at: Date): number {
  return Math.floor(at.getTime() / 1000);
}
