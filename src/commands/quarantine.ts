// `postbell quarantine`: lists the rejected requests that are kept, promotes them once the secret is right, and deletes them.
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import { deleteQuarantined, type QuarantineState, readQuarantine } from '../events/quarantine.ts';
import { didYouMean, type Source } from '../providers/index.ts';
import { parseSources, variableOf } from '../providers/sources.ts';
import { createPullReceiver } from '../pull/receiver.ts';
import { openQueue } from '../queue/open-queue.ts';
import { addCounts, nothingPromoted, type PromoteCounts, promoteSlice } from '../receive/promote.ts';
import { knownSources, loadSettings } from '../runtime/settings.ts';
import { type CommandDatabase, withDatabase } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { bytesText, countText, printJson, printLine, printTable, timeText } from '../terminal/print.ts';
import { reasonsText, refusedText } from '../terminal/quarantine.ts';

export interface QuarantineOptions extends CommonOptions {
  /** With `promote`: only count. */
  dryRun?: boolean;
  yes?: boolean;
}

const actions = ['list', 'promote', 'delete'] as const;
const interruptedExitCode = 130;

/** @returns 1 where requests stay, or there were none; 130 when it was interrupted. @throws ConfigError, CommandError */
export async function runQuarantine(
  io: CommandIo,
  action: string | undefined,
  source: string | undefined,
  options: QuarantineOptions,
): Promise<number> {
  switch (action ?? 'list') {
    case 'list':
      return withDatabase(io.env, 'quarantine', ({ database }) => list(io, source, options, database));
    case 'promote': {
      const settings = loadSettings(io.env);
      const found = settings.sources.get(named(source, 'promote'));
      if (!found) throw new CommandError(whyNotOn(source!, settings));
      return withDatabase(io.env, 'quarantine', (parts) => promote(io, found, options, parts));
    }
    case 'delete': {
      const name = named(source, 'delete');
      return withDatabase(io.env, 'quarantine', ({ database }) => remove(io, name, options, database));
    }
    default:
      throw new CommandError(
        `there is no action ${action}${didYouMean(action ?? '', actions)}: use list, promote or delete`,
      );
  }
}

function named(source: string | undefined, action: string): string {
  if (source === undefined) throw new CommandError(`name the source: postbell quarantine ${action} stripe`);
  return source;
}

function whyNotOn(source: string, known: Parameters<typeof knownSources>[0]): string {
  if (known.waiting.has(source))
    return `${source} has no secret, which the requests are verified with: set ${variableOf(source)}_WEBHOOK_SECRET`;
  return `there is no source ${source}${didYouMean(source, knownSources(known))}`;
}

async function list(
  { out, env }: CommandIo,
  source: string | undefined,
  { json }: QuarantineOptions,
  database: Database,
): Promise<number> {
  const states = await readQuarantine(database, source);
  const { sources } = parseSources(env);
  if (json) {
    for (const state of states)
      printJson(out, { ...state, limitMb: sources.get(state.source)?.quarantineMb ?? null });
    return 0;
  }
  if (states.length === 0) {
    printLine(out, 'nothing is in quarantine');
    const isOn = [...sources.values()].some(({ quarantineMb }) => quarantineMb !== undefined);
    if (!isOn) printLine(out, 'no source has a quarantine; <SOURCE>_QUARANTINE_MB turns it on');
    return 0;
  }
  printTable(out, states, [
    { title: 'SOURCE', value: (state) => state.source },
    { title: 'REQUESTS', value: ({ requests }) => requests.toLocaleString('en-US'), isNumber: true },
    { title: 'SIZE', value: (state) => bytesText(state, sources.get(state.source)), isNumber: true },
    { title: 'OLDEST', value: ({ oldestAt }) => (oldestAt ? timeText(oldestAt) : '-') },
    { title: 'NEWEST', value: ({ newestAt }) => (newestAt ? timeText(newestAt) : '-') },
    { title: 'REASONS', value: reasonsText },
  ]);
  for (const state of states) if (state.refused > 0) printLine(out, refusedText(state));
  printLine(out, `\nonce the secret is right: postbell quarantine promote ${source ?? states[0]!.source}`);
  return 0;
}

async function stateOf(database: Database, source: string): Promise<QuarantineState | undefined> {
  const [state] = await readQuarantine(database, source);
  return state && state.requests > 0 ? state : undefined;
}

async function promote(
  io: CommandIo,
  source: Source,
  { json, yes, dryRun: isDryRun = false }: QuarantineOptions,
  { database, config, log }: CommandDatabase,
): Promise<number> {
  const state = await stateOf(database, source.name);
  if (!state) return sayNothing(io, source.name, json, { ...nothingPromoted, dryRun: isDryRun });
  const requests = countText(state.requests, 'request');
  if (!isDryRun && !yes)
    await confirm(io, {
      question: `Verify ${requests} of ${source.name} again and take in what is right?`,
      rejection: `${requests} of ${source.name} would be verified again, and handlers run for what is right: add --yes to do it, or --dry-run to count`,
      declined: 'nothing was promoted',
    });
  const queue = await openQueue(database, log, { supervise: false });
  const receiver = createPullReceiver({ database, queue, log, sameBodyHours: config.SAME_BODY_HOURS });
  const signal = io.interrupted();
  let counts = nothingPromoted;
  try {
    const parts = { database, receiver, log, source, storesRawBody: config.STORE_RAW_BODY, isDryRun };
    for (let after = '0'; !signal.aborted; ) {
      const slice = await promoteSlice(parts, after);
      if (!slice) break;
      after = slice.last;
      counts = addCounts(counts, slice.counts);
    }
  } finally {
    await receiver.close();
    await queue.stop();
  }
  if (json)
    printJson(io.out, { source: source.name, ...counts, dryRun: isDryRun, isComplete: !signal.aborted });
  else printCounts(io, source.name, counts, isDryRun);
  if (signal.aborted) {
    printLine(io.err, 'interrupted: run it again for the others');
    return interruptedExitCode;
  }
  return counts.wrong + counts.unavailable === 0 ? 0 : 1;
}

function printCounts(
  { out, err }: CommandIo,
  source: string,
  counts: PromoteCounts,
  isDryRun: boolean,
): void {
  const text = (count: number) => count.toLocaleString('en-US');
  const { promoted, ignored, known, wrong, withoutEvent, unavailable } = counts;
  const replays = ignored > 0 ? `, ignored as suspected replays ${text(ignored)}` : '';
  const setUp = withoutEvent > 0 ? `, without an event ${text(withoutEvent)}` : '';
  printLine(
    out,
    `${isDryRun ? 'would promote' : 'promoted'} ${text(promoted)}, already there ${text(known)}, still wrong ${text(wrong)}${replays}${setUp}`,
  );
  if (wrong > 0)
    printLine(
      err,
      `${countText(wrong, 'request')} stay${wrong === 1 ? 's' : ''}: forged, or signed with another secret than ${variableOf(source)}_WEBHOOK_SECRET has here; to drop them: postbell quarantine delete ${source}`,
    );
  if (unavailable > 0)
    printLine(
      err,
      `${countText(unavailable, 'request')} could not be committed, and stay${unavailable === 1 ? 's' : ''}: run it again`,
    );
}

async function remove(
  io: CommandIo,
  source: string,
  { json, yes }: QuarantineOptions,
  database: Database,
): Promise<number> {
  const state = await stateOf(database, source);
  if (!state) return sayNothing(io, source, json, { deleted: 0 });
  const requests = countText(state.requests, 'request');
  if (!yes)
    await confirm(io, {
      question: `Delete ${requests} of ${source} for ever?`,
      rejection: `${requests} of ${source} would be deleted for ever: add --yes to do it`,
      declined: 'nothing was deleted',
    });
  const deleted = await database.transaction((tx) => deleteQuarantined(tx, source));
  if (json) printJson(io.out, { source, deleted });
  else printLine(io.out, `${countText(deleted, 'request')} deleted`);
  return 0;
}

function sayNothing(
  { out, err }: CommandIo,
  source: string,
  json: boolean | undefined,
  counts: object,
): number {
  if (json) printJson(out, { source, ...counts });
  else printLine(err, `nothing of ${source} is in quarantine`);
  return 1;
}
