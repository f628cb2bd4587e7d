// `postbell replay`: sets events to PENDING: one by its id, or all that match a filter, after counting them.
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import type { EventStatus } from '../events/event.ts';
import type { EventFilter } from '../events/filter.ts';
import { countMatching, findEvents } from '../events/queries.ts';
import { replay } from '../events/replay.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { type FilterOptions, filterOf } from '../terminal/parse-filter.ts';
import { countText, printJson, printLine } from '../terminal/print.ts';

export interface ReplayOptions extends FilterOptions, CommonOptions {
  yes?: boolean;
}

const interruptedExitCode = 130;
const eraseLine = '\r\x1b[K';
/** Without PROCESSED: their effect happened already. */
const defaultForMany: readonly EventStatus[] = ['FAILED'];
const defaultForOne: readonly EventStatus[] = ['FAILED', 'IGNORED'];

/** @returns 1 when nothing matched or not all could be replayed, 130 when it was interrupted */
export async function runReplay(
  io: CommandIo,
  eventId: string | undefined,
  options: ReplayOptions,
): Promise<number> {
  return withDatabase(io.env, 'replay', async ({ database }) => {
    const filter: EventFilter = {
      ...filterOf(options),
      statuses: options.status ?? (eventId === undefined ? defaultForMany : defaultForOne),
      ...(eventId === undefined ? {} : { eventId }),
    };
    if (eventId !== undefined) await checkOne(database, eventId, options, filter.statuses!);
    const matched = await countMatching(database, filter);
    if (matched === 0) {
      if (options.json) printJson(io.out, { matched, replayed: 0 });
      else printLine(io.err, 'no event matches: nothing was replayed');
      return 1;
    }
    if (eventId === undefined && !options.yes) {
      const events = countText(matched, `${filter.statuses!.join(' or ')} event`);
      await confirm(io, {
        question: `Replay ${events}?`,
        rejection: `${events} would be replayed: add --yes to do it`,
        declined: 'nothing was replayed',
      });
    }
    return replayAll(io, database, filter, matched, options);
  });
}

/** Nothing is replayed if several sources have the id, or if the event has another status. @throws CommandError */
async function checkOne(
  database: Database,
  eventId: string,
  { source }: ReplayOptions,
  statuses: readonly string[],
): Promise<void> {
  const events = await findEvents(database, eventId, source);
  const [event] = events;
  if (!event) return;
  if (events.length > 1) {
    const sources = events.map((found) => found.source).join(', ');
    throw new CommandError(
      `${eventId} is an event of several sources: choose one with --source (${sources})`,
    );
  }
  if (statuses.includes(event.status)) return;
  throw new CommandError(
    event.status === 'PENDING'
      ? `${eventId} is PENDING already: a worker will run it`
      : `${eventId} is ${event.status}: add --status ${event.status} to run it again`,
  );
}

async function replayAll(
  { out, err, interrupted }: CommandIo,
  database: Database,
  filter: EventFilter,
  matched: number,
  { json }: ReplayOptions,
): Promise<number> {
  const signal = interrupted();
  signal.addEventListener('abort', () => printLine(err, 'stopping after the current batch'));
  const isWatched = !json && err.isTTY && matched > 1;
  const replayed = await replay(database, filter, {
    signal,
    onProgress: (count) => {
      if (isWatched) err.write(`\r${count} of ${matched} `);
    },
  });
  if (isWatched) err.write(eraseLine);
  if (json) printJson(out, { matched, replayed, ...(signal.aborted ? { interrupted: true } : {}) });
  else printLine(out, `${countText(replayed, 'event')} set to PENDING; a running worker runs them at once`);
  if (signal.aborted) {
    printLine(err, `interrupted: ${countText(Math.max(0, matched - replayed), 'event')} unchanged`);
    return interruptedExitCode;
  }
  if (replayed >= matched) return 0;
  printLine(
    err,
    `${countText(matched - replayed, 'event')} not replayed, because another session locked or changed them: check them, and run replay again`,
  );
  return 1;
}
