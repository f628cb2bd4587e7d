// Extra time for large bodies: Postgres parses 22 MiB in 3 s, and some providers, e.g. GitHub, never send a delivery again.
import { megabyte } from '../texts.ts';

/** Twice the time that an idle machine of 2 cores needs; 25 MiB get 6 s, since GitHub waits 10 s. */
const msPerMebibyte = 250;

/** The extra time for a delivery of this size; 0 up to 1 MiB. */
export function extraMsFor(bytes: number): number {
  return Math.max(0, Math.ceil(bytes / megabyte) - 1) * msPerMebibyte;
}
