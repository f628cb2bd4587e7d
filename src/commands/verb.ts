// A verb of the command line as data, and the commander command made from it.
import { type Command, InvalidArgumentError } from 'commander';
import { readRunningDev } from '../dev/dev-folder.ts';
import { FilterError } from '../events/parse-filter.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';

/** An argument as commander takes it, `<required>` or `[optional]`, and its description. */
export type Argument = readonly [name: string, description: string];

/** An option as commander takes it, and its description; for values that are not text, a parser and a default. */
export type Flag = readonly [
  flags: string,
  description: string,
  parse?: (text: string) => unknown,
  defaultValue?: unknown,
];

/** `O` is the shape that the flags give the options. */
export interface Verb<O extends CommonOptions = CommonOptions> {
  name: string;
  summary: string;
  /** Whole command lines, for `--help`. */
  examples: readonly string[];
  arguments?: readonly Argument[];
  /** In addition to `--json` and, where the verb uses the database, `--database-url`. */
  flags?: readonly Flag[];
  /** False: the verb has no `--database-url`. Default: true. */
  usesDatabase?: boolean;
  /** True: the verb uses the secrets, port and database of a `postbell dev` that runs in this folder. */
  findsRunningDev?: boolean;
  /**
   * Imports the verb's module, so that no other verb is loaded. (A method, so that every `Verb<O>` is a `Verb`.)
   * @returns the exit code; another value: the process keeps running
   */
  run(io: CommandIo, options: O, args: readonly (string | undefined)[]): Promise<unknown>;
}

/** Adds the verb to `program`; `finish` gets its exit code. */
export function addVerb(
  program: Command,
  verb: Verb,
  io: CommandIo,
  finish: (exitCode: number | undefined) => void,
): void {
  const command = program.command(verb.name).description(verb.summary);
  for (const [name, description] of verb.arguments ?? []) command.argument(name, description);
  command.option('--json', 'print JSON, one document per line');
  if (verb.usesDatabase ?? true)
    command.option(
      '--database-url <url>',
      'instead of DATABASE_URL; every user of this machine can read it with ps',
    );
  for (const [flags, description, parse, defaultValue] of verb.flags ?? []) {
    if (parse) command.option(flags, description, asArgument(parse), defaultValue);
    else command.option(flags, description);
  }
  command.addHelpText('after', `\nExample:\n${verb.examples.map((line) => `  $ ${line}`).join('\n')}`);
  command.action(async () => {
    const { databaseUrl } = command.opts<{ databaseUrl?: string }>();
    const found = verb.findsRunningDev ? withRunningDev(io) : io;
    const exitCode = await verb.run(
      withDatabaseUrl(found, databaseUrl),
      command.opts(),
      command.processedArgs,
    );
    finish(typeof exitCode === 'number' ? exitCode : undefined);
  });
}

/** Gives commander the parser's sentence; commander puts the option's name before it. */
function asArgument(parse: (text: string) => unknown): (text: string) => unknown {
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

/** Settings of the environment override dev's; without a running dev in the folder, nothing changes. */
function withRunningDev(io: CommandIo): CommandIo {
  return { ...io, env: { ...readRunningDev(io.folder), ...io.env } };
}

function withDatabaseUrl(io: CommandIo, databaseUrl: string | undefined): CommandIo {
  if (databaseUrl === undefined) return io;
  printLine(io.err, 'every user of this machine can read --database-url with ps: set DATABASE_URL instead');
  return { ...io, env: { ...io.env, DATABASE_URL: databaseUrl } };
}
