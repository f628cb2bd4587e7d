// `postbell replay`: runs events again, or waiting events at once: one by its id, or all that match a filter, after counting them.
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import type { EventStatus } from '../events/event.ts';
import type { EventFilter } from '../events/filter.ts';
import { type FilterOptions, filterOf } from '../events/parse-filter.ts';
import { type EventSummary, findEvents } from '../events/queries.ts';
import { countMatching, type ReplayKindName, replay } from '../events/replay.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, timeText } from '../terminal/print.ts';
import { sourceHint } from './source-hint.ts';

export interface ReplayOptions extends FilterOptions, CommonOptions {
  /** PENDING events that wait for a retry or the end of a `Later`, in place of settled events. */
  now?: boolean;
  yes?: boolean;
}

/** The events that a command line chose. */
interface Choice {
  kind: ReplayKindName;
  filter: EventFilter & { statuses: readonly EventStatus[] };
  /** Undefined: chosen by the filter alone. */
  eventId: string | undefined;
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
  const choice = choose(eventId, options);
  return withDatabase(io.env, 'replay', async ({ database }) => {
    await checkOne(database, choice);
    const matched = await countMatching(database, choice.filter, choice.kind);
    if (matched === 0) {
      if (options.json) printJson(io.out, { matched, replayed: 0 });
      else
        printLine(
          io.err,
          `no event matches: nothing was replayed${await sourceHint(database, options.source)}`,
        );
      return 1;
    }
    await warnOfProcessed(io, database, choice, matched);
    if (eventId === undefined && !options.yes) await askFirst(io, choice, matched);
    return replayAll(io, database, choice, matched, options);
  });
}

/** @throws CommandError where the options exclude each other */
function choose(eventId: string | undefined, options: ReplayOptions): Choice {
  if (options.now && options.status)
    throw new CommandError('--now is for PENDING events: use it without --status');
  const kind = options.now ? 'now' : 'afresh';
  const byDefault = eventId === undefined ? defaultForMany : defaultForOne;
  const statuses: readonly EventStatus[] = options.now ? ['PENDING'] : (options.status ?? byDefault);
  return {
    kind,
    eventId,
    filter: { ...filterOf(options), statuses, ...(eventId === undefined ? {} : { eventId }) },
  };
}

async function warnOfProcessed(
  { err }: CommandIo,
  database: Database,
  { filter }: Choice,
  matched: number,
): Promise<void> {
  if (!filter.statuses.includes('PROCESSED')) return;
  const isAll = filter.statuses.every((status) => status === 'PROCESSED');
  const count = isAll ? matched : await countMatching(database, { ...filter, statuses: ['PROCESSED'] });
  if (count === 0) return;
  const events = countText(count, 'PROCESSED event');
  printLine(err, `warning: ${events} among them: what the handlers did then, they would do a second time`);
}

/** @throws CommandError unless a person agrees */
async function askFirst(io: CommandIo, { kind, filter }: Choice, matched: number): Promise<void> {
  const events = countText(matched, `${filter.statuses.join(' or ')} event`);
  await confirm(io, {
    question: kind === 'now' ? `Run ${events} at once?` : `Replay ${events}?`,
    rejection: `${events} would be ${kind === 'now' ? 'run at once' : 'replayed'}: add --yes to do it`,
    declined: 'nothing was replayed',
  });
}

/** Nothing is replayed if several sources have the id, or if the event is in another state. @throws CommandError */
async function checkOne(database: Database, { kind, filter, eventId }: Choice): Promise<void> {
  if (eventId === undefined) return;
  const events = await findEvents(database, eventId, filter.source);
  const [event] = events;
  if (!event) return;
  if (events.length > 1) {
    const sources = events.map((found) => found.source).join(', ');
    throw new CommandError(
      `${eventId} is an event of several sources: choose one with --source (${sources})`,
    );
  }
  if (event.erasedAt)
    throw new CommandError(
      `${eventId} was erased on ${timeText(event.erasedAt)}: it has no body and cannot run`,
    );
  const problem = kind === 'now' ? whyNotNow(event) : whyNotAfresh(event, filter.statuses);
  if (problem !== undefined) throw new CommandError(`${eventId} is ${event.status}${problem}`);
}

function whyNotAfresh({ status }: EventSummary, statuses: readonly EventStatus[]): string | undefined {
  if (statuses.includes(status)) return undefined;
  return status === 'PENDING'
    ? ' already: a worker will run it; --now ends its wait for a retry'
    : `: add --status ${status} to run it again`;
}

function whyNotNow({ status, nextTryAt, pausedSince }: EventSummary): string | undefined {
  if (pausedSince) return ' and waits for the end of a pause: postbell pause lists the pauses';
  if (status !== 'PENDING') return ' and waits for nothing: use replay without --now to run it again';
  return nextTryAt && nextTryAt > new Date()
    ? undefined
    : ' and waits for nothing: a worker has it, or takes it next';
}

async function replayAll(
  { out, err, interrupted }: CommandIo,
  database: Database,
  { filter, kind }: Choice,
  matched: number,
  { json }: ReplayOptions,
): Promise<number> {
  const signal = interrupted();
  signal.addEventListener('abort', () => printLine(err, 'stopping after the current batch'));
  const isWatched = !json && err.isTTY && matched > 1;
  const replayed = await replay(database, filter, {
    kind,
    signal,
    onProgress: (count) => {
      if (isWatched) err.write(`\r${count} of ${matched} `);
    },
  });
  if (isWatched) err.write(eraseLine);
  if (json) printJson(out, { matched, replayed, ...(signal.aborted ? { interrupted: true } : {}) });
  else {
    const done = kind === 'now' ? `no longer wait${replayed === 1 ? 's' : ''}` : 'set to PENDING';
    printLine(out, `${countText(replayed, 'event')} ${done}; a running worker runs them at once`);
  }
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
