// Makes an EventFilter of texts that people type: options of the command line, fields of a page.
import type { EventStatus } from './event.ts';
import type { EventFilter } from './filter.ts';

/** A text that cannot be parsed. The message names the texts that can, e.g. `Use PENDING, FAILED.` */
export class FilterError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FilterError';
  }
}

/** The parsed texts; a field that is undefined restricts nothing. */
export interface FilterOptions {
  source?: string;
  topic?: string;
  status?: EventStatus[];
  error?: string;
  since?: Date;
  until?: Date;
  entity?: string;
}

export const eventStatuses: readonly EventStatus[] = ['PENDING', 'PROCESSED', 'FAILED', 'IGNORED'];
const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

export function filterOf(options: FilterOptions): EventFilter {
  const { source, topic, status, error, since, until, entity } = options;
  return {
    ...(source === undefined ? {} : { source }),
    ...(topic === undefined ? {} : { topic }),
    ...(status === undefined ? {} : { statuses: status }),
    ...(error === undefined ? {} : { error }),
    ...(entity === undefined ? {} : { entity }),
    ...(since ? { receivedSince: since } : {}),
    ...(until ? { receivedBefore: until } : {}),
  };
}

// Postgres changes the text to lower case again for each row.
const maxSearchLength = 500;

/** @throws FilterError when the text is too long */
export function parseSearch(text: string): string {
  if (text.length > maxSearchLength) throw new FilterError(`Use at most ${maxSearchLength} characters.`);
  return text;
}

/**
 * Statuses in any case, with commas between them.
 * @throws FilterError for a status that is not allowed
 */
export function parseStatuses(text: string, allowed: readonly EventStatus[] = eventStatuses): EventStatus[] {
  return text.split(',').map((part) => {
    const status = allowed.find((known) => known === part.trim().toUpperCase());
    if (!status) throw new FilterError(`Use ${allowed.join(', ')}.`);
    return status;
  });
}

/**
 * `2h` is two hours ago. An ISO time without a zone is UTC, like every printed time.
 * @throws FilterError for any other text
 */
export function parseTime(text: string, now: Date = new Date()): Date {
  const [, amount, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const relative = amount && new Date(now.getTime() - Number(amount) * unitSeconds[unit]! * 1_000);
  const time = relative || parseIso(text);
  if (!time || Number.isNaN(time.getTime())) {
    throw new FilterError('Use an age such as 90s, 15m, 2h or 7d, or a time such as 2026-08-01T09:30.');
  }
  return time;
}

function parseIso(text: string): Date | undefined {
  const [, day, time, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s?(Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  return day === undefined ? undefined : new Date(`${day}T${time ?? '00:00'}${zone ?? 'Z'}`);
}
