// A result of `doctor`: one line per check, with the remedy if there is a problem.
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import type { Logger } from '../logger.ts';
import type { Provider, Source } from '../providers/index.ts';

export interface Check {
  /** The thing that was checked, e.g. `database`. */
  check: string;
  status: 'ok' | 'warn' | 'fail';
  message: string;
  /** How to fix it. */
  remedy?: string;
  /** A warning that stays until a person acts: `--strict` fails. Others end by themselves, or are advice. */
  needsPerson?: true;
}

/** The arguments of checks that need the database. */
export interface CheckContext {
  config: Config;
  database: Database;
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`: declared sources without a secret. */
  waiting: ReadonlyMap<string, Provider>;
  log: Logger;
}

export const ok = (check: string, message: string): Check => ({ check, status: 'ok', message });

export const warn = (check: string, message: string, remedy: string): Check => ({
  check,
  status: 'warn',
  message,
  remedy,
});

export const fail = (check: string, message: string, remedy: string): Check => ({
  check,
  status: 'fail',
  message,
  remedy,
});

export const needsPerson = (check: Check): Check =>
  check.status === 'warn' ? { ...check, needsPerson: true } : check;
