// The options that choose events, for `events` and `replay`: what people type becomes an EventFilter.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EventStatus } from '../events/event.ts';
import type { EventFilter } from '../events/filter.ts';

export interface FilterOptions {
  source?: string;
  topic?: string;
  status?: EventStatus[];
  error?: string;
  since?: Date;
  until?: Date;
  entity?: string;
}

const statuses: readonly EventStatus[] = ['PENDING', 'PROCESSED', 'FAILED', 'IGNORED'];
const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

export function addFilterOptions(command: Command, allowed: readonly EventStatus[] = statuses): Command {
  return command
    .option('--source <name>', 'only of this source')
    .option('--topic <topic>', "exact, or a prefix that ends in '*'")
    .addOption(
      new Option('--status <status>', `${allowed.join(', ')}; several with commas`).argParser(
        (text: string) => parseStatuses(text, allowed),
      ),
    )
    .option('--error <text>', 'only where the last error holds this text', parseSearch)
    .option('--since <time>', 'received since: 90s, 15m, 2h, 7d ago, or an ISO time (UTC)', parseTime)
    .option('--until <time>', 'received before', parseTime)
    .option('--entity <entity>', 'only about this entity');
}

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

// Postgres folds the case of the text anew for each row.
const maxSearchLength = 500;

function parseSearch(text: string): string {
  if (text.length > maxSearchLength)
    throw new InvalidArgumentError(`Use at most ${maxSearchLength} characters.`);
  return text;
}

function parseStatuses(text: string, allowed: readonly EventStatus[]): EventStatus[] {
  return text.split(',').map((part) => {
    const status = allowed.find((known) => known === part.trim().toUpperCase());
    if (!status) throw new InvalidArgumentError(`Use ${allowed.join(', ')}.`);
    return status;
  });
}

/** `2h` is two hours ago. An ISO time without a zone is UTC, as all times that are printed. */
export function parseTime(text: string, _previous?: unknown, now: Date = new Date()): Date {
  const [, amount, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const relative = amount && new Date(now.getTime() - Number(amount) * unitSeconds[unit]! * 1_000);
  const time = relative || parseIso(text);
  if (!time || Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError('Use 90s, 15m, 2h or 7d for so long ago, or e.g. 2026-08-01T09:30.');
  }
  return time;
}

function parseIso(text: string): Date | undefined {
  const [, day, time, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s?(Z|[+-]\d\d:\d\d)?)?$/.exec(text) ?? [];
  return day === undefined ? undefined : new Date(`${day}T${time ?? '00:00'}${zone ?? 'Z'}`);
}

/** For options that take a whole number. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d{1,9}$/.test(text) || number < min || number > max) {
      throw new InvalidArgumentError(`Use a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}
