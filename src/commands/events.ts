// `postbell events`: lists the events that match a filter, newest first.
import { type EventSummary, listEvents } from '../events/queries.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { type FilterOptions, filterOf } from '../terminal/parse-filter.ts';
import { printJson, printLine, printTable, timeText } from '../terminal/print.ts';

export interface EventsOptions extends FilterOptions, CommonOptions {
  limit: number;
}

/** @returns 1 when nothing was found */
export async function runEvents(io: CommandIo, options: EventsOptions): Promise<number> {
  const events = await withDatabase(io.env, 'events', ({ database }) =>
    listEvents(database, filterOf(options), options.limit),
  );
  if (options.json) for (const event of events) printJson(io.out, event);
  else if (events.length > 0) printEvents(io, events, options.limit);
  else printLine(io.err, 'no event matches');
  return events.length > 0 ? 0 : 1;
}

function printEvents({ out, err }: CommandIo, events: readonly EventSummary[], limit: number): void {
  printTable(out, events, [
    { title: 'RECEIVED', value: (event) => timeText(event.receivedAt), isWhole: true },
    { title: 'STATUS', value: (event) => event.status },
    { title: 'SOURCE', value: (event) => event.source },
    { title: 'EVENT', value: (event) => event.eventId },
    { title: 'TOPIC', value: (event) => event.topic },
    { title: 'TRIES', value: (event) => String(event.attempts), isNumber: true },
    { title: 'WHY', value: why },
  ]);
  if (events.length === limit)
    printLine(err, `these are the newest ${limit}; for others use --limit or a filter`);
}

/** The errors of an event that is PROCESSED now are in `show`. */
function why({ status, ignoredReason, lastError }: EventSummary): string {
  if (status === 'IGNORED') return ignoredReason ?? '';
  return status === 'PROCESSED' ? '' : (lastError ?? '');
}
