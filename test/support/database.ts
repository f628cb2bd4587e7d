// A database per test file, cloned from a template that was migrated once.
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import pino from 'pino';
import type { Test } from 'tap';
import { parseConfig } from '../../src/config.ts';
import { migrateDatabase } from '../../src/migrations/migrate.ts';
import { atEnd } from './at-end.ts';
import { clusterUrl, keepCluster } from './cluster-client.ts';
import { waitFor } from './wait.ts';

export interface TestDatabase {
  url: string;
  name: string;
}

const maxLooks = 150;
const root = new URL('../../', import.meta.url);

/**
 * A database of its own for `t`, usually the file's root test. Dropped when `t` has passed; then a connection still
 * open to it fails `t`. Kept, with its name on standard error, when `t` has failed.
 * @param options.migrated false: an empty one; default true
 */
export async function createTestDatabase(
  t: Test,
  options: { migrated?: boolean } = {},
): Promise<TestDatabase> {
  const { migrated = true } = options;
  const server = await testServerUrl();
  const file = path.basename(process.argv[1] ?? 'test').replace(/\.(test|slow)\.ts$/, '');
  const name = `postbell_test_${file
    .replaceAll(/[^a-z0-9]+/gi, '_')
    .toLowerCase()
    .slice(0, 30)}_${randomBytes(4).toString('hex')}`;
  await withClient(server, async (client) => {
    const template = migrated ? await ensureTemplate(client, server) : 'template0';
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  });
  atEnd(t, async () => {
    try {
      if (t.passing()) return await dropDatabase(server, name);
    } catch (error) {
      await keepDatabase(name);
      throw error;
    }
    await keepDatabase(name);
  });
  return { url: databaseUrl(server, name), name };
}

/** The server that tests make their databases on: TEST_DATABASE_URL, DATABASE_URL, or the run's own Postgres. */
export async function testServerUrl(): Promise<string> {
  return givenServerUrl() ?? clusterUrl();
}

function givenServerUrl(): string | undefined {
  return process.env.TEST_DATABASE_URL || process.env.DATABASE_URL || undefined;
}

// One file makes it while the others wait. Renamed when complete: a half-made one never bears the name.
async function ensureTemplate(client: pg.Client, server: string): Promise<string> {
  const template = `postbell_template_${schemaHash()}`;
  await client.query(`SELECT pg_advisory_lock(hashtextextended($1, 0))`, [template]);
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    if (rowCount) return template;
    const draft = `${template}_draft`;
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${draft} TEMPLATE template0`);
    await migrateDatabase({
      databaseUrl: databaseUrl(server, draft),
      policy: parseConfig({}).config!,
      log: pino({ level: 'warn' }, process.stderr),
    });
    await waitFor(async () => (await sessions(client, draft)).length === 0, {
      what: 'the migration to disconnect',
    });
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${template}`);
    await client.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`); // a session would forbid to clone it
    return template;
  } finally {
    await client.query(`SELECT pg_advisory_unlock(hashtextextended($1, 0))`, [template]);
  }
}

/** Of all that decides what a migrated database looks like, so that a template is never stale. */
function schemaHash(): string {
  const filesIn = (folder: string) =>
    readdirSync(new URL(folder, root))
      .sort()
      .map((name) => `${folder}${name}`);
  const hash = createHash('sha256');
  for (const file of [
    ...filesIn('sql/'),
    ...filesIn('src/queue/'),
    ...filesIn('src/migrations/'),
    'src/migrations/migrate.ts',
    'src/config.ts',
  ]) {
    hash.update(`${file}\n`).update(readFileSync(new URL(file, root)));
  }
  const bossFile = fileURLToPath(import.meta.resolve('pg-boss/package.json'));
  hash.update(readFileSync(bossFile));
  return hash.digest('hex').slice(0, 16);
}

async function dropDatabase(server: string, name: string): Promise<void> {
  await withClient(server, async (client) => {
    let open: string[] = [];
    const areGone = async () => {
      open = await sessions(client, name);
      return open.length === 0;
    };
    // A closed pool's sessions end a moment later. Looks are counted, not seconds: on a busy machine each takes longer.
    for (let look = 1; !(await areGone()); look++) {
      if (look === maxLooks) throw new Error(`left open on ${name}: ${open.join('; ')}`);
      await delay(20);
    }
    await client.query(`DROP DATABASE IF EXISTS ${name}`);
  });
}

async function keepDatabase(name: string): Promise<void> {
  const isOurs = givenServerUrl() === undefined;
  if (isOurs) await keepCluster();
  const hint = isOurs ? '; after the run: node test/support/cluster.ts --open' : '';
  process.stderr.write(`kept the database ${name}${hint}\n`);
}

async function sessions(client: pg.Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ session: string }>(
    `SELECT concat_ws(', ', nullif(application_name, ''), state, left(query, 100)) AS session
     FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
    [name],
  );
  return rows.map(({ session }) => session);
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'postbell tests' });
  let lost: Error | undefined;
  client.on('error', (error) => {
    lost = error;
  });
  await client.connect();
  try {
    return await work(client);
  } catch (error) {
    throw lost ?? error;
  } finally {
    await client.end();
  }
}
