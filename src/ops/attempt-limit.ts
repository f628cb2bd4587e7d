// Limits wrong passwords: per browser of an operator, or else per address, in bounded memory.

const windowMs = 60_000;
const maxWrong = 10;
/** Some 2 MB. Beyond it the oldest entry is forgotten. */
const maxKeys = 10_000;

interface Entry {
  wrong: number;
  endsAt: number;
}

export interface AttemptLimit {
  /** The seconds to wait until the next attempt; 0: none. */
  secondsToWait(key: string, now: number): number;
  recordWrong(key: string, now: number): void;
}

/** At most 10 wrong passwords a minute for each key. */
export function createAttemptLimit(): AttemptLimit {
  const entries = new Map<string, Entry>();
  return {
    secondsToWait: (key, now) => {
      const entry = entries.get(key);
      if (!entry || entry.endsAt <= now || entry.wrong < maxWrong) return 0;
      return Math.ceil((entry.endsAt - now) / 1_000);
    },
    recordWrong: (key, now) => {
      const known = entries.get(key);
      if (known && known.endsAt > now) {
        known.wrong++;
        return;
      }
      entries.delete(key); // a Map keeps the order of insertion: the first entry is the oldest
      if (entries.size >= maxKeys) for (const [oldest] of entries) if (entries.delete(oldest)) break;
      entries.set(key, { wrong: 1, endsAt: now + windowMs });
    },
  };
}
