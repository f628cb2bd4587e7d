// `postbell events`: lists the events that match a filter, newest first.

import { type FilterOptions, filterOf } from '../events/parse-filter.ts';
import { type EventSummary, listEvents } from '../events/queries.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine, printTable, timeText, untilText } from '../terminal/print.ts';
import { sourceHint } from './source-hint.ts';

export interface EventsOptions extends FilterOptions, CommonOptions {
  limit: number;
}

/** @returns 1 when nothing was found */
export async function runEvents(io: CommandIo, options: EventsOptions): Promise<number> {
  const { limit } = options;
  const { found, hint } = await withDatabase(io.env, 'events', async ({ database }) => {
    const found = await listEvents(database, filterOf(options), limit + 1);
    return { found, hint: found.length > 0 ? '' : await sourceHint(database, options.source) };
  });
  const events = found.slice(0, limit);
  if (events.length === 0) printLine(io.err, `no event matches${hint}`);
  else if (options.json) for (const event of events) printJson(io.out, event);
  else printEvents(io, events);
  // On standard error: each line of the JSON stays an event.
  if (found.length > limit) {
    printLine(
      io.err,
      `these are the newest ${limit}, and more match: raise --limit, or narrow the list with a filter (--help)`,
    );
  }
  return events.length > 0 ? 0 : 1;
}

function printEvents({ out }: CommandIo, events: readonly EventSummary[]): void {
  const anyPending = events.some(({ status }) => status === 'PENDING');
  printTable(out, events, [
    { title: 'RECEIVED', value: (event) => timeText(event.receivedAt), isWhole: true },
    { title: 'STATUS', value: (event) => event.status },
    { title: 'SOURCE', value: (event) => event.source },
    { title: 'EVENT', value: (event) => event.eventId },
    { title: 'TOPIC', value: (event) => event.topic },
    { title: 'TRIES', value: (event) => String(event.attempts), isNumber: true },
    // Where every event is settled, the columns beside it need the width.
    ...(anyPending ? [{ title: 'NEXT TRY', value: nextTry, isWhole: true }] : []),
    { title: 'WHY', value: why },
  ]);
}

/** `now` includes the events that a worker has. */
function nextTry({ status, nextTryAt, pausedSince }: EventSummary): string {
  if (status !== 'PENDING') return '-';
  if (pausedSince) return 'paused';
  return nextTryAt ? untilText(nextTryAt) : 'now';
}

/** The errors of an event that is PROCESSED now are in `show`. */
function why({ status, ignoredReason, lastError }: EventSummary): string {
  if (status === 'IGNORED') return ignoredReason ?? '';
  return status === 'PROCESSED' ? '' : (lastError ?? '');
}
