// Reads `<SOURCE>_RETENTION_DAYS`: after how many days the finished events of one source are deleted.
type Environment = Readonly<Record<string, string | undefined>>;

/** As PAYLOAD_RETENTION_DAYS. */
const maxDays = 36_500;

/** @returns days; 0: for ever; undefined: as PAYLOAD_RETENTION_DAYS says */
export function readRetentionDays(
  env: Environment,
  variable: string,
  problems: string[],
): number | undefined {
  const text = env[variable]?.trim();
  if (!text) return undefined;
  const days = Number(text);
  if (/^\d+$/.test(text) && days <= maxDays) return days;
  problems.push(`${variable} must be a whole number of days from 0 (for ever) to ${maxDays}`);
  return undefined;
}
