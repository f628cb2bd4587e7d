// `migrate` in a database that a team uses already: what is theirs stays as it is, and a clash is named before anything is done.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' };
import t, { type Test } from 'tap';
import { findSchemaClashes, schemaVersion } from '../../src/migrations/migrate.ts';
import { type CliResult, createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openPool, openSession } from '../support/inbox.ts';

type Sql = Awaited<ReturnType<typeof openSession>>;
const root = new URL('../../', import.meta.url);
const queueVersion = pgBossPackage.pgboss.schema;

async function openTeamDatabase(
  t: Test,
  options: { migrated?: boolean } = {},
): Promise<{ sql: Sql; migrate(): Promise<CliResult>; doctor(): Promise<CliResult> }> {
  const { url } = await createTestDatabase(t, { migrated: options.migrated ?? false });
  const cli = createCli(t, { DATABASE_URL: url });
  return {
    sql: await openSession(t, url),
    migrate: () => cli.inside(['migrate']),
    doctor: () => cli.inside(['doctor']),
  };
}

type NamedObject = Record<'kind' | 'schema' | 'name' | 'comment', string | null>;

/** Everything that bears a name in the database, with its owner's words on it. */
async function objects(sql: Sql): Promise<NamedObject[]> {
  const rows = await sql(`
    SELECT 'relation' AS kind, relnamespace::regnamespace::text AS schema, relname::text AS name, obj_description(oid, 'pg_class') AS comment FROM pg_class
    WHERE relnamespace::regnamespace::text !~ '^(pg_catalog|pg_toast.*|information_schema)$'
    UNION ALL SELECT 'function', pronamespace::regnamespace::text, proname::text, obj_description(oid, 'pg_proc') FROM pg_proc
    WHERE pronamespace::regnamespace::text !~ '^(pg_catalog|information_schema)$'
    UNION ALL SELECT 'schema', '', nspname::text, NULL FROM pg_namespace WHERE nspname !~ '^pg_'
    ORDER BY 1, 2, 3`);
  return rows as unknown as NamedObject[];
}

const teamTables: Record<string, string> = {
  TypeORM: `CREATE TABLE migrations (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL);
    INSERT INTO migrations (timestamp, name) VALUES (1700000000000, 'Init1700000000000')`,
  Laravel: `CREATE TABLE migrations (id serial PRIMARY KEY, migration varchar(255) NOT NULL, batch int NOT NULL);
    INSERT INTO migrations (migration, batch) VALUES ('2014_10_12_000000_create_users_table', 1)`,
  'postgres-migrations': `CREATE TABLE migrations (id integer PRIMARY KEY, name varchar(100) UNIQUE NOT NULL,
      hash varchar(40) NOT NULL, executed_at timestamp DEFAULT current_timestamp);
    INSERT INTO migrations (id, name, hash) VALUES (0, 'create-migrations-table', 'e18db593bcde2aca2a408c4d1100f6abba2195df'),
      (1, 'users', repeat('a', 40))`,
  'postgres-migrations without a migration': `CREATE TABLE migrations (id integer PRIMARY KEY, name varchar(100) UNIQUE NOT NULL,
      hash varchar(40) NOT NULL, executed_at timestamp DEFAULT current_timestamp);
    INSERT INTO migrations (id, name, hash) VALUES (0, 'create-migrations-table', 'e18db593bcde2aca2a408c4d1100f6abba2195df')`,
  'a view': `CREATE VIEW migrations AS SELECT 1 AS id, 'x' AS name, 'y' AS hash`,
  'another schema': `CREATE SCHEMA laravel; CREATE TABLE laravel.migrations (id int, migration text, batch int)`,
};

for (const [owner, statement] of Object.entries(teamTables)) {
  t.test(`a table "migrations" of ${owner} is left alone`, async (t) => {
    const { sql, migrate } = await openTeamDatabase(t);
    await sql(statement);
    const table = owner === 'another schema' ? 'laravel.migrations' : 'migrations';
    const before = await sql(`SELECT * FROM ${table} ORDER BY id`);
    t.match(await migrate(), { code: 0, stderr: '', stdout: /^migrated: schema version/m });
    t.match(await migrate(), { code: 0, stderr: '', stdout: /^nothing to do/m });
    t.same(await sql(`SELECT * FROM ${table} ORDER BY id`), before);
    const [row] = await sql('SELECT max(id) AS id FROM postbell_migrations');
    t.equal(row?.id, schemaVersion);
  });
}

t.test(
  "a database of 0.1 is known by its hashes: its table gets Postbell's name, also by several at once",
  async (t) => {
    const { sql, migrate } = await openTeamDatabase(t);
    t.match(await migrate(), { code: 0 });
    const ours = await sql('SELECT * FROM postbell_migrations ORDER BY id');
    await sql('ALTER TABLE postbell_migrations RENAME TO migrations');
    await sql('ALTER TABLE migrations RENAME CONSTRAINT postbell_migrations_pkey TO migrations_pkey');
    await sql('ALTER TABLE migrations RENAME CONSTRAINT postbell_migrations_name_key TO migrations_name_key');
    const results = await Promise.all(Array.from({ length: 3 }, migrate));
    for (const result of results) t.match(result, { code: 0, stderr: '', stdout: /^nothing to do/m });
    t.same(await sql('SELECT * FROM postbell_migrations ORDER BY id'), ours);
    const left = await sql(`SELECT relname FROM pg_class WHERE relname ~ '^migrations'`);
    t.same(left, [], 'neither the table nor its indexes bear the old name');
  },
);

t.test('a database of 0.1 whose table a team shares is left alone, and says why', async (t) => {
  const { sql, migrate } = await openTeamDatabase(t);
  t.match(await migrate(), { code: 0 });
  await sql('ALTER TABLE postbell_migrations RENAME TO migrations');
  await sql(`INSERT INTO migrations (id, name, hash) VALUES (99, 'of-the-team', repeat('b', 40))`);
  const before = await objects(sql);
  t.match(await migrate(), { code: 1, stderr: /webhook_events \(table\)/ });
  t.same(await objects(sql), before);
});

const clashing: [title: string, statement: string, named: RegExp][] = [
  ['table', 'CREATE TABLE webhook_events (id bigint, body text)', /webhook_events \(table\)/],
  ['partitioned table', 'CREATE TABLE tombstones (id int) PARTITION BY RANGE (id)', /tombstones \(table\)/],
  ['view', 'CREATE VIEW dead_letters AS SELECT 1 AS id', /dead_letters \(view\)/],
  [
    'index',
    'CREATE TABLE a (id int); CREATE INDEX webhook_events_pending ON a (id)',
    /webhook_events_pending \(index\)/,
  ],
  ['sequence', 'CREATE SEQUENCE failed_attempts', /failed_attempts \(sequence\)/],
  ['enum', `CREATE TYPE webhook_status AS ENUM ('new', 'done')`, /webhook_status \(type\)/],
  ['composite type', 'CREATE TYPE webhook_source AS (name text)', /webhook_source \(type\)/],
  [
    'table that bears a name of a type of ours',
    'CREATE TABLE webhook_topic (id int)',
    /webhook_topic \(table\)/,
  ],
  [
    'function',
    `CREATE FUNCTION webhook_events_complete_status() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$`,
    /webhook_events_complete_status \(function\)/,
  ],
  [
    'record of migrations',
    'CREATE TABLE postbell_migrations (id int, name text)',
    /postbell_migrations \(table\)/,
  ],
  [
    'schema pgboss of something else',
    'CREATE SCHEMA pgboss; CREATE TABLE pgboss.job (id int)',
    /schema pgboss/,
  ],
  [
    'pg-boss of an older version',
    `CREATE SCHEMA pgboss; CREATE TABLE pgboss.version (version int); INSERT INTO pgboss.version VALUES (24);
     CREATE TABLE pgboss.queue (name text); INSERT INTO pgboss.queue VALUES ('mails')`,
    new RegExp(`pg-boss.*version 24.*${queueVersion}.*POSTBELL_QUEUE_SCHEMA`),
  ],
  [
    'pg-boss of a time before it had queues',
    `CREATE SCHEMA pgboss; CREATE TABLE pgboss.version (version int); INSERT INTO pgboss.version VALUES (20)`,
    /pg-boss.*version 20.*POSTBELL_QUEUE_SCHEMA/,
  ],
  [
    'pg-boss of a newer version',
    `CREATE SCHEMA pgboss; CREATE TABLE pgboss.version (version int); INSERT INTO pgboss.version VALUES (${queueVersion + 7});
     CREATE TABLE pgboss.queue (name text); INSERT INTO pgboss.queue VALUES ('mails')`,
    new RegExp(`pg-boss.*version ${queueVersion + 7}.*POSTBELL_QUEUE_SCHEMA`),
  ],
];

for (const [title, statement, named] of clashing) {
  t.test(`a team's own ${title} is named, with the remedy, and nothing is changed`, async (t) => {
    const { sql, migrate } = await openTeamDatabase(t);
    await sql(statement);
    const before = await objects(sql);
    const { code, stdout, stderr } = await migrate();
    t.equal(code, 1);
    t.equal(stdout, '');
    t.match(stderr, named);
    t.match(stderr, /set POSTBELL_(QUEUE_)?SCHEMA to a schema/, 'the remedy');
    t.notMatch(stderr, /^\s+at /m);
    t.same(await objects(sql), before);
  });
}

t.test('all clashes are named at once, by doctor as well', async (t) => {
  const { sql, migrate, doctor } = await openTeamDatabase(t);
  for (const [, statement] of clashing.slice(0, 1)) await sql(statement);
  await sql('CREATE VIEW dead_letters AS SELECT 1 AS id');
  await sql('CREATE SCHEMA pgboss; CREATE TABLE pgboss.job (id int)');
  const { stderr } = await migrate();
  for (const name of [/webhook_events \(table\)/, /dead_letters \(view\)/, /schema pgboss/])
    t.match(stderr, name);
  const { code, stdout } = await doctor();
  t.equal(code, 1);
  for (const name of [/webhook_events \(table\)/, /dead_letters \(view\)/, /schema pgboss/])
    t.match(stdout, name);
});

const harmless: [title: string, statement: string][] = [
  ['an empty schema pgboss, prepared for us', 'CREATE SCHEMA pgboss'],
  [
    'our names in another schema',
    'CREATE SCHEMA team; CREATE TABLE team.webhook_events (id int); CREATE SCHEMA more; CREATE TABLE more.postbell_migrations (id int)',
  ],
  [
    'columns, constraints and triggers of our names',
    'CREATE TABLE a (webhook_events int CONSTRAINT dead_letters CHECK (webhook_events > 0))',
  ],
];
for (const [title, statement] of harmless) {
  t.test(`${title}: no clash`, async (t) => {
    const { sql, migrate } = await openTeamDatabase(t);
    await sql(statement);
    t.match(await migrate(), { code: 0, stderr: '' });
    t.match(await migrate(), { code: 0, stderr: '', stdout: /^nothing to do/m });
  });
}

t.test('a pg-boss of our version is not shared either; a remainder of our own queue is named', async (t) => {
  const { sql, migrate } = await openTeamDatabase(t, { migrated: true });
  await sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  const remainder = await migrate();
  t.match(remainder, {
    code: 1,
    stderr: /queue of another Postbell.*POSTBELL_SCHEMA.*DROP SCHEMA pgboss CASCADE/,
  });
  // As if only the team's program had been here.
  await sql(`DELETE FROM pgboss.queue WHERE name <> 'webhooks-dead-letters'`);
  await sql(`UPDATE pgboss.queue SET name = 'mails'`);
  const before = await objects(sql);
  t.match(await migrate(), { code: 1, stderr: /pg-boss of another program.*POSTBELL_QUEUE_SCHEMA/ });
  t.same(await objects(sql), before);
});

t.test(
  'a later deploy is not refused, whatever other queues the schema has and whatever its version',
  async (t) => {
    const { url } = await createTestDatabase(t);
    const database = openPool(t, url);
    await database.query(`SELECT pgboss.create_queue('mails', '{"policy":"standard"}')`);
    for (const change of ['- 1', '+ 2']) {
      await database.query(`UPDATE pgboss.version SET version = version ${change}`);
      t.same(await findSchemaClashes(database), []);
    }
  },
);

t.test('a deploy that ended while it created the queues is no clash, wherever it ended', async (t) => {
  const { url } = await createTestDatabase(t);
  const database = openPool(t, url);
  const { rows } = await database.query<{ name: string }>('SELECT name FROM pgboss.queue');
  t.ok(rows.length >= 3);
  await database.query('DELETE FROM pgboss.queue WHERE dead_letter IS NOT NULL');
  await database.query('DELETE FROM pgboss.queue');
  t.same(await findSchemaClashes(database), []);
  for (const { name } of rows) {
    await database.query('SELECT pgboss.create_queue($1, $2)', [name, { policy: 'standard' }]);
    t.same(await findSchemaClashes(database), [], `with ${name}`);
    await database.query('DELETE FROM pgboss.queue');
  }
});

t.test('our own pg-boss that is newer, as after a rollback, is no clash', async (t) => {
  const { sql, migrate } = await openTeamDatabase(t, { migrated: true });
  await sql('UPDATE pgboss.version SET version = version + 1');
  t.match(await migrate(), { code: 0, stderr: '', stdout: /^nothing to do/m });
});

t.test("every object that sql/ makes is looked for: a team's own is in the way of each", async (t) => {
  // Made once by the migrations themselves, so that a name cannot be forgotten; then each alone in an empty database.
  const made = await openTeamDatabase(t, { migrated: true });
  const rows =
    await made.sql(`SELECT relname::text AS name FROM pg_class c WHERE relnamespace = 'public'::regnamespace
      AND relkind IN ('r', 'v') ORDER BY 1`);
  const { sql, migrate } = await openTeamDatabase(t);
  for (const { name } of rows) await sql(`CREATE TABLE ${name} (of_the_team int)`);
  const { code, stderr } = await migrate();
  t.equal(code, 1);
  for (const { name } of rows) t.match(stderr, `${name} (table)`);
  t.ok(rows.length >= 10);
});

t.test(
  "the example shop is made in its own schema, and the team's own tables keep their words",
  async (t) => {
    const { url } = await createTestDatabase(t);
    const sql = await openSession(t, url);
    const names = [
      'orders',
      'payments',
      'customers',
      'shipments',
      'loyalty_rates',
      'loyalty_points',
      'tracking_scans',
    ];
    for (const name of names) {
      await sql(`CREATE TABLE ${name} (of_the_team int)`);
      await sql(`COMMENT ON TABLE ${name} IS 'Our own.'`);
    }
    await sql('CREATE INDEX tracking_scans_number ON orders (of_the_team)');
    const before = await objects(sql);
    const cli = createCli(t, {
      DATABASE_URL: url,
      POSTBELL_HANDLERS: fileURLToPath(new URL('handlers/index.ts', root)),
    });
    for (let run = 0; run < 2; run++) t.match(await cli.inside(['migrate']), { code: 0, stderr: '' });
    const isOfTheExample = ({ schema, name }: NamedObject) =>
      schema === 'example_shop' || name === 'example_shop';
    const after = await objects(sql);
    t.same(
      after.filter((object) => !isOfTheExample(object)),
      before,
    );
    t.ok(after.some(isOfTheExample));
  },
);

t.test('the package that runs the migrations is pinned: its statements are known one by one', (t) => {
  const read = (file: string) => JSON.parse(readFileSync(new URL(file, root), 'utf8'));
  const { version } = read('node_modules/postgres-migrations/package.json');
  t.equal(read('package.json').dependencies['postgres-migrations'], version);
  t.end();
});
