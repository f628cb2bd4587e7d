// postgres-migrations knows one name for its table. Its real statements, as the installed package sends them, go to ours.
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { loadMigrationFiles, migrate } from 'postgres-migrations';
import t from 'tap';
import { withOwnTable } from '../../src/migrations/own-table.ts';

const folder = fileURLToPath(new URL('../../sql', import.meta.url));
const files = await loadMigrationFiles(folder);

type Sent = string | { text: string; values?: unknown[] };

/** A database that answers what the package wants to hear; notes what reaches it. */
function recordingClient(options: { hasTable?: boolean; failing?: string } = {}) {
  const sent: { text: string; values: unknown[] }[] = [];
  const applied = options.hasTable ? files.slice(0, 1) : [];
  const query = async (statement: Sent) => {
    const { text, values = [] } = typeof statement === 'string' ? { text: statement } : statement;
    sent.push({ text, values });
    if (options.failing && text.includes(options.failing)) throw new Error('on purpose');
    if (text.includes('pg_try_advisory_lock')) return { rows: [{ pg_try_advisory_lock: true }] };
    if (text.includes('AS exists')) return { rows: [{ exists: options.hasTable ?? false }] };
    return { rows: text.startsWith('SELECT *') ? applied : [] };
  };
  return { sent, client: { query } as unknown as pg.Client };
}

for (const hasTable of [false, true]) {
  t.test(
    `no statement of the package names another table than ours (table there: ${hasTable})`,
    async (t) => {
      const { sent, client } = recordingClient({ hasTable });
      await migrate({ client: withOwnTable(client, files, 'inbox') }, folder);
      const own = files.map(({ sql }) => sql).slice(1);
      const texts = sent.map(({ text }) => text).filter((text) => !own.includes(text));
      for (const text of texts) t.notMatch(text, /(?<!"inbox"\.postbell_)\bmigrations\b/);
      t.notOk(sent.some(({ values }) => values.includes('migrations')));
      const saved = sent.filter(({ text }) => text.startsWith('INSERT INTO "inbox".postbell_migrations'));
      const expected = (hasTable ? files.slice(1) : files).map(({ id, name, hash }) => [id, name, hash]);
      t.same(
        saved.map(({ values }) => values),
        expected,
      );
    },
  );
}

t.test('each file runs in a transaction that finds our schema, and no other', async (t) => {
  const { sent, client } = recordingClient();
  await migrate({ client: withOwnTable(client, files, 'inbox') }, folder);
  const texts = sent.map(({ text }) => text);
  for (const { sql } of files.slice(1))
    t.equal(texts[texts.indexOf(sql) - 1], 'START TRANSACTION; SET LOCAL search_path TO "inbox"');
});

t.test('a migration that fails is rolled back as ever', async (t) => {
  const { sent, client } = recordingClient({ failing: files[1]!.sql });
  await t.rejects(migrate({ client: withOwnTable(client, files, 'inbox') }, folder), {
    message: /on purpose/,
  });
  t.ok(sent.some(({ text }) => text === 'ROLLBACK'));
});

t.test('any statement that is not known one by one is refused and does not reach the database', async (t) => {
  const { sent, client } = recordingClient();
  const own = withOwnTable(client, files, 'inbox');
  const unknown: Sent[] = [
    'SELECT * FROM migrations',
    'SELECT * FROM migrations ORDER BY id DESC',
    'select * from migrations order by id',
    'DROP TABLE migrations',
    'INSERT INTO migrations ("id", "name", "hash") VALUES ($1,$2,$3) ON CONFLICT DO NOTHING',
    { text: files[1]!.sql, values: [1] },
    { text: 'SELECT 1' },
    '',
  ];
  for (const statement of unknown) {
    await t.rejects(async () => own.query(statement as string), {
      message: /postgres-migrations .* unknown statement/,
    });
  }
  t.same(sent, []);
});
