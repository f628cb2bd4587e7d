// The installation of the demo: a separate database, and web and worker as real processes.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Config, type Environment, parseConfig } from '../config.ts';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { withDatabaseName } from '../database-url.ts';
import { startEmbeddedPostgres } from '../dev/postgres/start.ts';
import { CommandError, ConfigError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { migrateDatabase } from '../migrations/migrate.ts';
import { providers, type Source } from '../providers/index.ts';
import { parseSources, variableOf } from '../providers/sources.ts';
import { startChild } from '../runtime/child-process.ts';
import { acceptsSelfSigned } from '../runtime/connection.ts';
import type { StopSignal } from '../runtime/stop-signal.ts';

export interface Stage extends AsyncDisposable {
  webUrl: string;
  metricsToken: string;
  sources: ReadonlyMap<string, Source>;
  database: Database;
  maxAttempts: number;
  /** Rejects when web or worker ends by itself; never fulfilled. */
  broken: Promise<never>;
}

// The build makes dist/shop/ of handlers/ (scripts/build-shop.ts): Node strips no types below node_modules.
const handlersModule = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../handlers/index.ts' : '../shop/index.js', import.meta.url),
);
const handlersFolder = path.dirname(handlersModule);
const playedProviders = ['stripe', 'shopify', 'fedex'] as const;

/** Starts all parts. If a later part fails, or the demo is stopped, the parts that run are stopped again. */
export async function openStage(
  env: Environment,
  say: (text: string) => void,
  stop: StopSignal,
): Promise<Stage> {
  if (!existsSync(handlersModule)) {
    throw new CommandError(
      `the demo needs the example shop's handlers, and ${handlersModule} is missing: install postbell again`,
    );
  }
  const metricsToken = randomBytes(16).toString('hex');
  const stageEnv = environmentOf(env, metricsToken);
  const config = configOf({ ...stageEnv, DATABASE_URL: env.DATABASE_URL });
  await using stack = new AsyncDisposableStack();
  const databaseUrl = env.DATABASE_URL
    ? await createDatabase(env.DATABASE_URL, config, stack)
    : await startPostgres(stack, say);
  stop.signal.throwIfAborted();
  const log = createLogger('warn', 'demo', { toStandardError: true });
  await migrateDatabase({
    databaseUrl,
    policy: config,
    log,
    acceptSelfSigned: acceptsSelfSigned(config, databaseUrl),
    tablesFile: path.join(handlersFolder, 'tables.sql'),
  });
  stop.signal.throwIfAborted();
  say('the tables are created (postbell migrate)');

  const childEnv = { ...stageEnv, DATABASE_URL: databaseUrl };
  const start = (verb: 'web' | 'worker') => startChild({ verb, env: childEnv, folder: handlersFolder });
  const web = start('web');
  const worker = start('worker');
  stack.defer(async () => {
    await Promise.all([web.stop(), worker.stop()]);
  });
  const ready = Promise.all([
    web.waitForLog('listening'),
    web.waitForLog('ready'),
    worker.waitForLog('ready'),
  ]);
  const [{ address }] = await Promise.race([ready, stop.stopped]);
  say(`web (process ${web.pid}) and worker (process ${worker.pid}) are up: ${address}`);
  const broken = Promise.race([web.broken, worker.broken]);
  broken.catch(() => {}); // both also end with the demo, when no caller waits
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'postbell demo',
    maxConnections: 3,
    acceptSelfSigned: acceptsSelfSigned(config, databaseUrl),
    log,
  });
  stack.defer(() => database.close());
  const cleanUp = stack.move();
  return {
    webUrl: String(address),
    metricsToken,
    sources: parseSources(stageEnv).sources,
    database,
    maxAttempts: config.MAX_ATTEMPTS,
    broken,
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
}

/** Ignores the caller's settings, so that the demo is the same on every machine. Short delays instead of production's. */
function environmentOf(env: Environment, metricsToken: string): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'DATABASE_POOLER', 'DYNO'].flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]]],
  );
  const secrets = playedProviders.map((name) => [
    `${variableOf(name)}_WEBHOOK_SECRET`,
    providers[name].secret.generate().secret,
  ]);
  return {
    ...Object.fromEntries([...kept, ...secrets]),
    HOST: '127.0.0.1',
    PORT: '0',
    POSTBELL_HANDLERS: handlersModule,
    METRICS_TOKEN: metricsToken,
    RETRY_DELAY_SECONDS: '1',
    RETRY_DELAY_MAX_SECONDS: '1',
    POLL_SECONDS: '1',
    SUPERVISE_SECONDS: '1',
  };
}

function configOf(env: Environment): Config {
  const { config, problems } = parseConfig(env);
  if (!config) throw new ConfigError(problems);
  return config;
}

async function startPostgres(stack: AsyncDisposableStack, say: (text: string) => void): Promise<string> {
  const postgres = await startEmbeddedPostgres();
  stack.defer(() => postgres.stop('immediate'));
  say(`Postgres is up, embedded and temporary (process ${postgres.pid})`);
  return postgres.url;
}

/** Creates a new database on the caller's server; the caller's own database stays unchanged. */
async function createDatabase(url: string, config: Config, stack: AsyncDisposableStack): Promise<string> {
  const name = `postbell_demo_${randomBytes(6).toString('hex')}`;
  const run = async (statement: string) => {
    const log = createLogger('warn', 'demo', { toStandardError: true });
    const acceptSelfSigned = acceptsSelfSigned(config, url);
    const options = { url, applicationName: 'postbell demo', maxConnections: 1, timeoutMs: 60_000, log };
    const server = openDatabase({ ...options, acceptSelfSigned });
    try {
      await server.query(statement);
    } finally {
      await server.close();
    }
  };
  await run(`CREATE DATABASE ${name}`);
  stack.defer(() => run(`DROP DATABASE ${name} WITH (FORCE)`));
  return withDatabaseName(url, name);
}
