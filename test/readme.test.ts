// The README is run: its SQL, its handler, its commands, its tables and those of docs/.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pino from 'pino';
import t from 'tap';
import type { Database } from '../src/database/database.ts';
import { openDatabase } from '../src/database/open-database.ts';
import { providers } from '../src/providers/index.ts';
import { providerTables, regionOf } from './providers-table.ts';
import { settingsTable, writtenSettingsTable } from './settings-table.ts';
import { createTestDatabase } from './support/database.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    ([, text]) => text!,
  );
}

/** As Postgres would run it on a table too large to be read whole. */
async function planOf(database: Database, statement: string): Promise<string> {
  return database.transaction(
    async (tx) => {
      const { rows } = await tx.query<Record<string, string>>(`EXPLAIN ${statement}`);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    },
    { settings: { enable_seqscan: 'off' } },
  );
}

t.test('every SQL block of the cookbook runs as it stands', async (t) => {
  const { url } = await createTestDatabase(t);
  const database = openDatabase({
    url,
    applicationName: 'readme',
    maxConnections: 1,
    log: pino({ level: 'silent' }),
  });
  try {
    await database.query(
      `INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, status, last_error, entity)
       VALUES ('stripe', 'stripe', 'evt_1', 't', '{}', sha256('{}'), 'FAILED', 'Error: connect ECONNREFUSED', 'pi_3Nx')`,
    );
    await database.query(
      `INSERT INTO failed_attempts (source, event_id, error) VALUES ('stripe', 'evt_1', 'Error: connect ECONNREFUSED')`,
    );
    const statements = blocks('sql');
    t.ok(statements.length >= 7, 'the cookbook is there');
    for (const statement of statements) {
      const { rowCount } = await database.query(statement);
      t.equal(rowCount, 1, statement.slice(0, 60));
      const plan = await planOf(database, statement);
      t.notMatch(plan, /Seq Scan on webhook_events/, 'an index answers it, however many events there are');
    }
  } finally {
    await database.close();
  }
});

t.test('every npm script that the README names exists', async (t) => {
  const named = [...readme.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name]) => name!);
  for (const name of new Set(named.filter((name) => name !== 'install'))) {
    t.ok(packageJson.scripts[name === 'run' ? '' : name], `npm run ${name}`);
  }
});

t.test('every file that the README links to exists', async (t) => {
  for (const [, target] of readme.matchAll(/\]\(([^)#:]+)[^)]*\)/g))
    t.ok(existsSync(join(root, target!)), String(target));
});

t.test("the README's handler is a handler", async (t) => {
  const [code] = blocks('ts');
  // Inside the project, so that its imports are found.
  const folder = mkdtempSync(join(root, 'test', '.readme-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'handler.ts');
  writeFileSync(
    file,
    code!.replace("'postbell'", JSON.stringify(pathToFileURL(join(root, 'src/index.ts')).href)),
  );
  const { default: handler } = (await import(pathToFileURL(file).href)) as {
    default: Record<string, unknown>;
  };
  t.equal(handler.provider, 'stripe');
  t.equal(typeof handler.handle, 'function');
});

t.test('the table of settings is the one of src/config.ts', async (t) => {
  t.equal(writtenSettingsTable(), settingsTable(), 'else run: node test/settings-table.ts');
  t.ok(settingsTable().split('\n').length > 25);
});

t.test('the tables of providers are those of the registry', async (t) => {
  for (const { file, text } of providerTables())
    t.equal(regionOf(file), text, `${file.pathname}: else run npx node test/providers-table.ts`);
  for (const name of Object.keys(providers))
    for (const { file, text } of providerTables())
      t.match(text, `\`${name}\``, `${name} in ${file.pathname}`);
});

t.test('the figures on speed are those of bench/results.json', async (t) => {
  // By its address: bench/ has types and packages of its own.
  const howFast = (await import(new URL('../bench/report/how-fast.ts', import.meta.url).href)) as {
    howFast(): string;
    writtenHowFast(): string | undefined;
  };
  t.equal(howFast.writtenHowFast(), howFast.howFast(), 'else run: npx node bench/report/how-fast.ts');
});
