// Prints why a command failed, without a stack. Returns the exit code.

import { CommandError, ConfigError, describeError } from '../errors.ts';
import { printable } from '../printable.ts';
import { databaseProblem, firstOf } from '../runtime/database-problem.ts';
import type { CommandIo } from './io.ts';
import { printLine } from './print.ts';

/** EX_CONFIG of sysexits.h: the configuration is wrong; a restart does not help. */
const configExitCode = 78;

export function reportError({ env, err }: Pick<CommandIo, 'env' | 'err'>, error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) printLine(err, printable(problem));
    return configExitCode;
  }
  if (error instanceof CommandError) {
    for (const line of error.message.split('\n')) printLine(err, printable(line));
    return 1;
  }
  const { text, stack } = describeError(firstOf(error));
  const problem = databaseProblem(error);
  printLine(err, printable(problem ? `the database: ${problem.message}; ${problem.remedy}` : text));
  if (env.LOG_LEVEL === 'debug' || env.LOG_LEVEL === 'trace') {
    for (const line of [text, ...(stack?.split('\n') ?? [])]) printLine(err, printable(line));
  }
  return 1;
}
