// How a command reaches the database; apart from the sources, so that looking at the inbox needs no provider.
import type { Config, Environment } from '../config.ts';
import type { Database, DatabaseOptions } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';

/** A list, empty when DATABASE_URL is there. */
export function databaseUrlProblem(env: Environment): string[] {
  if (env.DATABASE_URL) return [];
  return ['DATABASE_URL is not set; set it to postgres://…, or run: postbell dev (which brings its own)'];
}

/** The process's one pool. */
export function connect(
  { config, databaseUrl }: { config: Config; databaseUrl: string },
  options: Pick<
    DatabaseOptions,
    'applicationName' | 'maxConnections' | 'timeoutMs' | 'sessionSettings' | 'log'
  >,
): Database {
  return openDatabase({
    url: databaseUrl,
    pooler: config.DATABASE_POOLER,
    acceptSelfSigned: acceptsSelfSigned(config, databaseUrl),
    ...options,
  });
}

/** Heroku's own Postgres, reached from a dyno, and nobody asked for more by sslmode. */
export function acceptsSelfSigned(config: Pick<Config, 'DYNO'>, databaseUrl: string): boolean {
  return config.DYNO !== undefined && !/[?&]ssl(mode|rootcert)=/.test(databaseUrl);
}
