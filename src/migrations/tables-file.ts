// `tables.sql` beside the team's handlers: SQL that `postbell migrate` runs after the migrations.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config.ts';
import { findHandlersModule } from '../handlers/load.ts';

/** The path of the file; undefined if there is none. */
export function tablesFileOf(config: Config, folder: string): string | undefined {
  const modulePath = findHandlersModule(config.POSTBELL_HANDLERS, folder);
  const tablesFile = modulePath && join(dirname(modulePath), 'tables.sql');
  return tablesFile && existsSync(tablesFile) ? tablesFile : undefined;
}
