// The options of the command line that choose events, for `events` and `replay`.
import { type Command, InvalidArgumentError } from 'commander';
import type { EventStatus } from '../events/event.ts';
import {
  eventStatuses,
  FilterError,
  parseSearch,
  parseStatuses,
  parseTime,
} from '../terminal/parse-filter.ts';

export function addFilterOptions(command: Command, allowed: readonly EventStatus[] = eventStatuses): Command {
  const parseAllowed = (text: string) => parseStatuses(text, allowed);
  return command
    .option('--source <name>', 'only of this source')
    .option('--topic <topic>', "exact, or a prefix that ends in '*'")
    .option('--status <status>', `${allowed.join(', ')}; several with commas`, asArgument(parseAllowed))
    .option('--error <text>', 'only where the last error holds this text', asArgument(parseSearch))
    .option(
      '--since <time>',
      'received since: 90s, 15m, 2h, 7d ago, or an ISO time (UTC)',
      asArgument(parseTime),
    )
    .option('--until <time>', 'received before', asArgument(parseTime))
    .option('--entity <entity>', 'only about this entity');
}

/** Commander adds the option's name to the sentence of the parser. */
function asArgument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof FilterError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
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
