// The filter flags of `events` and `replay`; `filterOf` makes an EventFilter of their options.
import type { EventStatus } from '../events/event.ts';
import { eventStatuses, parseSearch, parseStatuses, parseTime } from '../events/parse-filter.ts';
import type { Flag } from './verb.ts';

/** @param allowed the statuses that `--status` accepts */
export function filterFlags(allowed: readonly EventStatus[] = eventStatuses): readonly Flag[] {
  return [
    ['--source <name>', 'only events of this source'],
    ['--topic <topic>', "exact, or a prefix that ends in '*'"],
    [
      '--status <status>',
      `${allowed.join(', ')}; several with commas`,
      (text) => parseStatuses(text, allowed),
    ],
    ['--error <text>', 'only events whose last error contains this text', parseSearch],
    [
      '--since <time>',
      'received since: 90s, 15m, 2h, 7d ago, or an ISO time (UTC)',
      (text) => parseTime(text),
    ],
    ['--until <time>', 'received before: as --since', (text) => parseTime(text)],
    ['--entity <entity>', 'only events of this entity'],
  ];
}
