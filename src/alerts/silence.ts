// Whether a source is silent for longer than its own last weeks explain. Pure: no I/O, no clock. It has no settings.

/** The arrivals of a source in an hour. */
export interface ActiveHour {
  hour: Date;
  received: number;
  /** Bit n: something arrived in minute n of the hour. */
  activeMinutes: bigint;
}

export interface Silence {
  /** The last minute with an arrival. */
  since: Date;
  seconds: number;
  /** Events that the last weeks let us expect in that time. */
  expected: number;
}

/** Why a source is not watched for silence. */
type Unwatched =
  /** From `until` on the source is watched, unless its events are rare. */
  | { reason: 'new'; until: Date }
  /** Less than 7 events a week. */
  | { reason: 'rare' }
  /** Nothing arrived in the last `historyDays`. */
  | { reason: 'none' };

type SilenceVerdict =
  | { kind: 'silent'; silence: Silence }
  /** Too little is known to tell silence from quiet. */
  | ({ kind: 'not watched' } & Unwatched)
  | { kind: 'heard' };

export const historyDays = 28;
const leastHistoryDays = 7;
/** A Poisson process leaves out 7 expected events once in 1,000 stretches. */
const leastExpected = 7;
/** Real arrivals come in bursts: a silence must expect this many times the events that the longest silence of the history expected. */
const factor = 3;
const leastSilenceMs = 600_000;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const hoursOfWeek = 168;

/** @param hours oldest first, of the last `historyDays`; hours without an arrival are left out */
export function judgeSilence(hours: readonly ActiveHour[], now: Date): SilenceVerdict {
  const [first, last] = [hours[0], hours.at(-1)];
  if (!first || !last) return { kind: 'not watched', reason: 'none' };
  const until = new Date(first.hour.getTime() + leastHistoryDays * 24 * hourMs);
  if (now < until) return { kind: 'not watched', reason: 'new', until };
  const since = lastArrivalMs(last);
  const rates = hourlyRates(hours, since);
  if (rates.reduce((sum, rate) => sum + rate, 0) < leastExpected)
    return { kind: 'not watched', reason: 'rare' };
  const silentMs = now.getTime() - since;
  const expected = expectedBetween(rates, since, now.getTime());
  // Rates and silences of fewer weeks are less certain.
  const doubt = Math.sqrt((historyDays * 24 * hourMs) / (now.getTime() - first.hour.getTime()));
  if (silentMs < leastSilenceMs || expected <= doubt * leastExpected) return { kind: 'heard' };
  if (expected <= doubt * factor * longestSilence(hours, rates)) return { kind: 'heard' };
  return { kind: 'silent', silence: { since: new Date(since), seconds: silentMs / 1_000, expected } };
}

export type UnwatchedSource = { source: string } & Unwatched;

/** The sources that are not watched, by name. @param names of all sources; those with arrivals need not be among them */
export function findUnwatched(
  arrivals: readonly (ActiveHour & { source: string })[],
  names: Iterable<string>,
  now: Date,
): UnwatchedSource[] {
  const bySource = Map.groupBy(arrivals, ({ source }) => source);
  return [...new Set([...bySource.keys(), ...names])].sort().flatMap((source) => {
    const { kind, ...why } = judgeSilence(bySource.get(source) ?? [], now);
    return kind === 'not watched' ? [{ source, ...(why as Unwatched) }] : [];
  });
}

/** Means of the events in each hour of the week, in UTC, over the history until `endMs`. */
function hourlyRates(hours: readonly ActiveHour[], endMs: number): number[] {
  const sums = new Array<number>(hoursOfWeek).fill(0);
  for (const { hour, received } of hours) sums[hourOfWeek(hour.getTime())]! += received;
  const startMs = hours[0]!.hour.getTime();
  const times = new Array<number>(hoursOfWeek).fill(0);
  for (let atMs = startMs; atMs <= endMs; atMs += hourMs) times[hourOfWeek(atMs)]!++;
  return sums.map((sum, index) => sum / Math.max(1, times[index]!));
}

function hourOfWeek(timeMs: number): number {
  return Math.floor(timeMs / hourMs) % hoursOfWeek;
}

function expectedBetween(rates: readonly number[], fromMs: number, toMs: number): number {
  let expected = 0;
  for (let atMs = fromMs; atMs < toMs; ) {
    const endMs = Math.min(toMs, Math.floor(atMs / hourMs) * hourMs + hourMs);
    expected += (rates[hourOfWeek(atMs)]! * (endMs - atMs)) / hourMs;
    atMs = endMs;
  }
  return expected;
}

/** The most events that were to be expected between two arrivals. */
function longestSilence(hours: readonly ActiveHour[], rates: readonly number[]): number {
  let longest = 0;
  let lastMs: number | undefined;
  for (const { hour, activeMinutes } of hours) {
    for (let minute = 0; minute < 60; minute++) {
      if (!isActive(activeMinutes, minute)) continue;
      const atMs = hour.getTime() + minute * minuteMs;
      if (lastMs !== undefined && atMs - lastMs > minuteMs)
        longest = Math.max(longest, expectedBetween(rates, lastMs + minuteMs, atMs));
      lastMs = atMs;
    }
  }
  return longest;
}

function lastArrivalMs({ hour, activeMinutes }: ActiveHour): number {
  let minute = 59;
  while (minute > 0 && !isActive(activeMinutes, minute)) minute--;
  return hour.getTime() + minute * minuteMs;
}

function isActive(activeMinutes: bigint, minute: number): boolean {
  return ((activeMinutes >> BigInt(minute)) & 1n) === 1n;
}
