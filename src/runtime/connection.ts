// Connects a command to the database. Separate from the sources, so that reading the inbox needs no provider.
import type { Config, Environment } from '../config.ts';
import type { Database, DatabaseOptions } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import type { Schemas } from '../database/schemas.ts';

/** The problem in a list; empty when DATABASE_URL is set. */
export function databaseUrlProblem(env: Environment): string[] {
  if (env.DATABASE_URL) return [];
  return [
    'DATABASE_URL is not set; set it to postgres://…, or run: postbell dev (with an embedded Postgres)',
  ];
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
    schemas: schemasOf(config),
    acceptSelfSigned: acceptsSelfSigned(config, databaseUrl),
    ...options,
  });
}

export function schemasOf(config: Pick<Config, 'POSTBELL_SCHEMA' | 'POSTBELL_QUEUE_SCHEMA'>): Schemas {
  return { inbox: config.POSTBELL_SCHEMA, queue: config.POSTBELL_QUEUE_SCHEMA };
}

/** True for Heroku's own Postgres, reached from a dyno, unless the URL sets sslmode or sslrootcert. */
export function acceptsSelfSigned(config: Pick<Config, 'DYNO'>, databaseUrl: string): boolean {
  return config.DYNO !== undefined && !/[?&]ssl(mode|rootcert)=/.test(databaseUrl);
}
