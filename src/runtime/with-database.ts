// Opens the database for a short command: few connections, warnings on standard error, closed at the end.
import { type Config, type Environment, parseConfig } from '../config.ts';
import type { Database } from '../database/database.ts';
import { ConfigError } from '../errors.ts';
import { createLogger, type Logger } from '../logger.ts';
import { connect, databaseUrlProblem } from './connection.ts';

/** Long enough to count a few million rows. */
const statementTimeoutMs = 60_000;
const maxConnections = 2;

export interface CommandDatabase {
  database: Database;
  config: Config;
  log: Logger;
}

/** Does not check the sources: a bad secret must not keep an operator from reading the inbox. @throws ConfigError */
export async function withDatabase<T>(
  env: Environment,
  verb: string,
  work: (parts: CommandDatabase) => Promise<T>,
): Promise<T> {
  const { config, problems } = parseConfig(env);
  const all = [...databaseUrlProblem(env), ...problems];
  if (!config?.DATABASE_URL || all.length > 0) throw new ConfigError(all);
  const log = commandLogger(config, verb);
  const database = connect(
    { config, databaseUrl: config.DATABASE_URL },
    { applicationName: `postbell ${verb}`, maxConnections, timeoutMs: statementTimeoutMs, log },
  );
  try {
    return await work({ database, config, log });
  } finally {
    await database.close();
  }
}

/** Logs to standard error: standard output is for the command's result. */
export function commandLogger(config: Pick<Config, 'LOG_LEVEL'>, verb: string): Logger {
  const level = config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL;
  return createLogger(level, verb, { toStandardError: true });
}
