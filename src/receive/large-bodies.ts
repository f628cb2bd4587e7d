// Postgres parses a large body for seconds (22 MiB: 3 s), and a provider such as GitHub never sends it again.

const mebibyte = 1_048_576;
/** Twice what an idle machine of 2 cores needs; 25 MiB get 6 s, since GitHub waits 10 s. */
const msPerMebibyte = 250;

/** How much longer than others a delivery of so many bytes may take; 0 up to 1 MiB. */
export function extraMsFor(bytes: number): number {
  return Math.max(0, Math.ceil(bytes / mebibyte) - 1) * msPerMebibyte;
}
