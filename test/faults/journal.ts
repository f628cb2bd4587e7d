// Reads what the handlers of the fault tests noted outside their transactions: attempts that rolled back, too.
import { existsSync, readFileSync } from 'node:fs';

export interface Attempt {
  eventId: string;
  attemptId: string;
  pid: number;
  /** As the handler was told: 1 for the first. */
  attempt: number;
  /** In ms, on this machine's clock. */
  startedAt: number;
  /** undefined: the process ended inside the handler, or still runs it. */
  endedAt: number | undefined;
}

export function readJournal(file: string): Attempt[] {
  if (!existsSync(file)) return [];
  const attempts = new Map<string, Attempt>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line) continue;
    const { at, kind, ...rest } = JSON.parse(line) as Attempt & { at: number; kind: string };
    const attempt = attempts.get(rest.attemptId);
    if (attempt) attempt.endedAt = at;
    else if (kind === 'start') attempts.set(rest.attemptId, { ...rest, startedAt: at, endedAt: undefined });
  }
  return [...attempts.values()];
}

export function byEvent(attempts: readonly Attempt[]): Map<string, Attempt[]> {
  return Map.groupBy(attempts, (attempt) => attempt.eventId);
}
