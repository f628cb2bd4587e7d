// What `doctor` finds: one line per check, with the remedy where something is wrong.
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
}

/** What checks that need the database are given. */
export interface CheckContext {
  config: Config;
  database: Database;
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`: without a secret so far. */
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
