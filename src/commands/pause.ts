// `postbell pause` and `postbell resume`: events of a source, a topic or a handler are received and kept, and wait.
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import { describePause, scopeText } from '../events/pause-texts.ts';
import { beginPause, countWaiting, endPauses, isTopicPattern, type PauseScope } from '../events/pauses.ts';
import { printable } from '../printable.ts';
import { parseSources } from '../providers/sources.ts';
import { unknownSourceProblem } from '../runtime/known-sources.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { actingUser } from '../terminal/acting-user.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine } from '../terminal/print.ts';

interface ScopeOptions extends CommonOptions {
  topic?: string;
  handler?: string;
}

export interface PauseOptions extends ScopeOptions {
  reason?: string;
}

export interface ResumeOptions extends ScopeOptions {
  all?: boolean;
}

/** Without a source and a handler: lists the pauses. A pause that is there already is no error. @throws CommandError */
export async function runPause(
  io: CommandIo,
  source: string | undefined,
  options: PauseOptions,
): Promise<number> {
  const scope = scopeOf(source, options);
  return withDatabase(io.env, 'pause', async ({ database }) => {
    if (!scope) {
      if (options.reason !== undefined) throw new CommandError('name a source or --handler to be paused');
      return listPauses(io, database, options);
    }
    const problem =
      scope.source === null
        ? undefined
        : await unknownSourceProblem(database, scope.source, parseSources(io.env));
    if (problem) throw new CommandError(problem);
    const { pause, isNew } = await beginPause(database, scope, options.reason ?? null, actingUser());
    if (options.json) printJson(io.out, { ...pause, isNew });
    else if (isNew) {
      printLine(io.out, `paused: ${printable(scopeText(pause))}; its events are received and kept, and wait`);
      printLine(io.out, printable(`to run them: postbell resume ${scopeText(pause)}`));
    } else {
      printLine(io.out, printable(`${scopeText(pause)} is paused already, by ${pause.pausedBy}`));
    }
    return 0;
  });
}

/** @returns 1 when there is no such pause */
export async function runResume(
  io: CommandIo,
  source: string | undefined,
  { all = false, ...options }: ResumeOptions,
): Promise<number> {
  const scope = scopeOf(source, options);
  if (all && scope)
    throw new CommandError('--all ends every pause: use it without a source, --topic and --handler');
  if (!all && !scope) throw new CommandError('say which pause to end, as it was begun, or --all');
  return withDatabase(io.env, 'resume', async ({ database }) => {
    const before = await countWaiting(database);
    const ended = new Set((await endPauses(database, scope ?? 'all')).map(({ id }) => id));
    const pauses = before.filter(({ id }) => ended.has(id));
    for (const pause of pauses) {
      const runs = `${countText(pause.waiting, 'event')} will run`;
      if (options.json) printJson(io.out, pause);
      else
        printLine(
          io.out,
          `resumed: ${printable(scopeText(pause))}; ${runs}, unless another pause holds them`,
        );
    }
    if (pauses.length > 0) return 0;
    if (all) printLine(io.err, 'nothing is paused');
    else {
      printLine(io.err, printable(`there is no pause ${scopeText(scope as PauseScope)}`));
      for (const pause of before) printLine(io.err, printable(`paused: ${scopeText(pause)}`));
    }
    return 1;
  });
}

async function listPauses(io: CommandIo, database: Database, { json }: CommonOptions): Promise<number> {
  const pauses = await countWaiting(database);
  for (const pause of pauses) {
    if (json) printJson(io.out, pause);
    else printLine(io.out, printable(describePause(pause)));
  }
  if (pauses.length === 0 && !json) printLine(io.out, 'nothing is paused');
  return 0;
}

/** Undefined where nothing is given. @throws CommandError for a topic without a source, or a wrong pattern */
function scopeOf(source: string | undefined, { topic, handler }: ScopeOptions): PauseScope | undefined {
  if (topic !== undefined && source === undefined)
    throw new CommandError("--topic needs a source: postbell pause shopify --topic 'orders/*'");
  if (topic !== undefined && !isTopicPattern(topic))
    throw new CommandError('--topic must be exact (orders/create), a prefix (orders/*), or *');
  if (source === undefined && handler === undefined) return undefined;
  return { source: source ?? null, topic: topic ?? null, handler: handler ?? null };
}
