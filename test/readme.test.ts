// The documents are run: their SQL, handlers, commands and links; and the generated tables are current.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pino from 'pino';
import t from 'tap';
import type { Database } from '../src/database/database.ts';
import { openDatabase } from '../src/database/open-database.ts';
import { providers } from '../src/providers/index.ts';
import { badInputTable } from './bad-input-table.ts';
import { pythonRegion } from './forward/guide.ts';
import { guideRegions } from './orms/guide.ts';
import { providerTables } from './providers-table.ts';
import { settingsTable } from './settings-table.ts';
import { createCli } from './support/cli.ts';
import { createTestDatabase } from './support/database.ts';
import type { Metric } from './support/exposition.ts';
import { webExposition, workerExposition } from './support/full-exposition.ts';
import { readRegion } from './support/generated-region.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

const textOf = (page: string) => pages.find(({ name }) => name === page)!.text;

function blocks(language: string): string[] {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm');
  return pages.flatMap(({ text }) => [...text.matchAll(block)].map(([, code]) => code!));
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
    await database.query(
      `INSERT INTO postbell_processes (process_id, kind, host, version) VALUES (gen_random_uuid(), 'web', 'web.1', '0.2.0')`,
    );
    await database.query(`INSERT INTO rejection_counts VALUES ('stripe', now(), 'too_old', 1, now())`);
    await database.query(`INSERT INTO pauses (handler) VALUES ('charge-orders')`);
    await database.query(
      `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
       VALUES ('stripe', now(), '', 'wrong_signature', 'r', 'POST', '/', '{}', '', 500)`,
    );
    await database.query(
      `INSERT INTO captures (source, ends_at, opened_by) VALUES ('stripe', now() + interval '1 hour', 'ada')`,
    );
    await database.query(
      `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body_bytes, status, outcome)
       VALUES ('stripe', now(), 'r1', 'web.1', 'POST', '/', '{}', 0, 401, 'rejected')`,
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

const npmsOwn = ['ci', 'install', 'audit', 'pack', 'pkg', 'version'];

t.test('every npm script that a page names exists', async (t) => {
  for (const { name: page, text } of pages) {
    const named = [...text.matchAll(/(?:^|`|&& )npm (?:run )?([a-z:]+)/gm)].map(([, name]) => name!);
    for (const name of new Set(named.filter((name) => !npmsOwn.includes(name))))
      t.ok(packageJson.scripts[name], `${page}: npm run ${name}`);
  }
});

t.test('every verb that a page names exists', async (t) => {
  const program = readFileSync(join(root, 'src/commands/program.ts'), 'utf8');
  for (const { name: page, text } of pages)
    for (const [, verb] of text.matchAll(/\b(?:npm run postbell --|`postbell) ([a-z]+)/g))
      t.match(program, new RegExp(`'${verb}'`), `${page}: postbell ${verb}`);
});

t.test('the page on the command line lists exactly the verbs of --help', async (t) => {
  const { stdout } = await createCli(t).inside(['--help']);
  const verbs = [...stdout.matchAll(/^ {2}([a-z]+) (?:\[options\]|<)/gm)].map(([, verb]) => verb!);
  const listed = [...textOf('docs/command-line.md').matchAll(/^\| `([a-z]+)[^`]*` \|/gm)].map(
    ([, verb]) => verb!,
  );
  t.ok(verbs.length > 10);
  t.same(listed.sort(), verbs.sort());
});

t.test('the page on monitoring lists exactly the metrics that are served, with their labels', async (t) => {
  const [web, worker] = [await webExposition(), await workerExposition()];
  const line = (name: string, { type, labelNames }: Metric) => {
    const of = [web, worker].every((metrics) => metrics.has(name))
      ? 'both'
      : web.has(name)
        ? 'web'
        : 'worker';
    return `| \`${name}\` | ${of} | ${type} |${[...labelNames].map((label) => ` ${label}`)} |`;
  };
  const served = [...new Map([...web, ...worker])]
    .filter(([name]) => name.startsWith('postbell_'))
    .map(([name, metric]) => line(name, metric));
  const listed = textOf('docs/monitoring.md').match(/^\| `postbell_\w+` \| \w+ \| \w+ \|[^|]*\|/gm) ?? [];
  t.ok(served.length > 15);
  t.same(listed.sort(), served.sort());
});

t.test('rules and dashboard name only metrics that are served', async (t) => {
  const served = new Set<string>();
  for (const [name, { series }] of [...(await webExposition()), ...(await workerExposition())])
    for (const one of [name, ...series.map((some) => some.name)]) served.add(one);
  for (const file of ['deploy/prometheus/rules.yml', 'deploy/grafana/postbell.json']) {
    const named =
      readFileSync(join(root, file), 'utf8').match(/\b(?:postbell|nodejs|process)_[a-z0-9_]+/g) ?? [];
    t.ok(named.length > 5, file);
    for (const name of new Set(named)) t.ok(served.has(name), `${file}: ${name}`);
  }
});

t.test('every link leads to a file, and to a heading of it', async (t) => {
  for (const { name: page, text } of pages)
    for (const [link, target, heading] of text.matchAll(/\]\(([^)#:\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target ? join(root, dirname(page), target) : join(root, page);
      t.ok(existsSync(file), `${page}: ${link}`);
      if (heading && existsSync(file)) t.ok(headingsOf(file).includes(heading), `${page}: ${link}`);
    }
});

/** As GitHub makes anchors of headings. */
function headingsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

t.test('the README has at most 150 lines', async (t) => {
  const lines = pages
    .find(({ name }) => name === 'README.md')!
    .text.trimEnd()
    .split('\n').length;
  t.ok(lines <= 150, `${lines} lines`);
});

t.test('the handlers on the page on ORMs are those of test/orms/guide/', (t) => {
  for (const region of guideRegions())
    t.equal(readRegion(region), region.text, `${region.name}: else run npx node test/orms/guide.ts`);
  t.end();
});

t.test('the app in Python on the page on forwarding is that of test/forward/', async (t) => {
  t.equal(readRegion(pythonRegion()), pythonRegion().text, 'else run: npx node test/forward/guide.ts');
});

t.test('every handler on a page is a handler', async (t) => {
  process.env.FORWARD_SECRET = `whsec_${'A'.repeat(32)}`; // as docs/forwarding.md wants it
  // Those of docs/orms.md need packages that only `npm run test:orms` installs; it runs them.
  const ofOrms = new Set(guideRegions().map(({ text }) => text));
  const examples = blocks('ts').filter((code) => !ofOrms.has(`\`\`\`ts\n${code}\`\`\`\n`));
  t.ok(examples.length > 0);
  // Inside the project, so that its imports are found.
  const folder = mkdtempSync(join(root, 'test', '.readme-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [number, code] of examples.entries()) {
    const file = join(folder, `handler-${number}.ts`);
    writeFileSync(
      file,
      code.replace("'postbell'", JSON.stringify(pathToFileURL(join(root, 'src/index.ts')).href)),
    );
    const { default: handler } = (await import(pathToFileURL(file).href)) as {
      default: Record<string, unknown>;
    };
    t.equal(handler.provider, 'stripe');
    t.equal(typeof handler.handle, 'function');
  }
});

t.test('the table of settings is that of src/config.ts', async (t) => {
  const table = settingsTable();
  t.equal(readRegion(table), table.text, 'else run: npx node test/settings-table.ts');
  t.ok(table.text.split('\n').length > 25);
});

t.test('the tables of providers are those of the registry', async (t) => {
  for (const region of providerTables())
    t.equal(
      readRegion(region),
      region.text,
      `${region.file.pathname}: else run npx node test/providers-table.ts`,
    );
  const [summary, list] = providerTables();
  const names = Object.keys(providers);
  t.match(summary!.text, `${names.length} providers`);
  for (const name of names) {
    t.match(list!.text, `[\`${name}\`](#${name})`, `${name} in the overview`);
    t.match(list!.text, `\n### ${name}\n`, `${name} has a section`);
  }
});

t.test('the list of bad inputs is that of test/bad-input/', async (t) => {
  const table = badInputTable();
  t.equal(readRegion(table), table.text, 'else run: npx node test/bad-input-table.ts');
});

t.test('the figures on speed are those of bench/results.json', async (t) => {
  // By its address: bench/ has types and packages of its own.
  const howFast = (await import(new URL('../bench/report/how-fast.ts', import.meta.url).href)) as {
    howFast(): string;
    writtenHowFast(): string | undefined;
  };
  t.equal(howFast.writtenHowFast(), howFast.howFast(), 'else run: npx node bench/report/how-fast.ts');
});
