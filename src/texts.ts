// Times, durations and numbers as people read them, on the command line and on the operators' page.

/** `2026-11-23 23:41:05Z`; `-` without a time. */
export function timeText(time: Date | null | undefined): string {
  return time ? `${time.toISOString().slice(0, 19).replace('T', ' ')}Z` : '-';
}

/** `in 12 min`; `now` for a time that has come. */
export function untilText(time: Date, now: Date = new Date()): string {
  const seconds = (time.getTime() - now.getTime()) / 1_000;
  return seconds > 0 ? `in ${durationText(Math.ceil(seconds))}` : 'now';
}

/** `45 s`, `12 min`, `3 h`, `9 d`. */
export function durationText(seconds: number): string {
  const units = [
    [86_400 * 2, 86_400, 'd'],
    [3_600 * 2, 3_600, 'h'],
    [60 * 2, 60, 'min'],
  ] as const;
  const [, size, unit] = units.find(([from]) => seconds >= from) ?? [0, 1, 's'];
  return `${Math.round(seconds / size)} ${unit}`;
}

/** From arrival to done: `40 ms`, `1.5 s`, then as `durationText`; `-` for null, where no event is done. */
export function latencyText(seconds: number | null): string {
  if (seconds === null) return '-';
  if (seconds >= 86_400) return '> 1 d'; // the last bucket has no upper bound
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : durationText(seconds);
}

/** `1 event`, `3 events`, `12,000 events`. */
export function countText(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

export const megabyte = 1_048_576;

/** How large the quarantine of a source is: `0.4 of 10 MB`. @param source undefined: not configured here */
export function bytesText(
  { bytes }: { bytes: number },
  source: { quarantineMb?: number } | undefined,
): string {
  const used = bytes > 0 && bytes < 0.05 * megabyte ? '< 0.1' : (bytes / megabyte).toFixed(1);
  return source?.quarantineMb === undefined ? `${used} MB` : `${used} of ${source.quarantineMb} MB`;
}
