// The flags that choose events, for `events` and `replay`; `filterOf` makes an EventFilter of their options.
import type { EventStatus } from '../events/event.ts';
import { eventStatuses, parseSearch, parseStatuses, parseTime } from '../terminal/parse-filter.ts';
import type { Flag } from './verb.ts';

/** @param allowed the statuses that may be chosen */
export function filterFlags(allowed: readonly EventStatus[] = eventStatuses): readonly Flag[] {
  return [
    ['--source <name>', 'only of this source'],
    ['--topic <topic>', "exact, or a prefix that ends in '*'"],
    [
      '--status <status>',
      `${allowed.join(', ')}; several with commas`,
      (text) => parseStatuses(text, allowed),
    ],
    ['--error <text>', 'only where the last error contains this text', parseSearch],
    [
      '--since <time>',
      'received since: 90s, 15m, 2h, 7d ago, or an ISO time (UTC)',
      (text) => parseTime(text),
    ],
    ['--until <time>', 'received before', (text) => parseTime(text)],
    ['--entity <entity>', 'only about this entity'],
  ];
}
