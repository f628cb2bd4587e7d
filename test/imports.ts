// Part of `npm run lint`: imports go downward only, rooms on one floor do not know each other, each outside thing has
// one owner, and statements name the schema of our tables. CONTRIBUTING.md has the map. Everything is compared by whole paths.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../src/', import.meta.url));

/**
 * Top to bottom. A room (a folder, or a file of `src/` itself) may import from itself and from the floors below its own.
 * `providers/` is the ground beside the house: see `usesProviders`.
 */
const floors: readonly (readonly string[])[] = [
  ['cli.ts', 'index.ts', 'fastify.ts', 'fetch.ts', 'node.ts', 'worker.ts'],
  ['main.ts'],
  ['commands/', 'testing/'],
  ['demo/'],
  ['assembly/', 'dev/', 'doctor/', 'init/'],
  ['alerts/', 'http/', 'ops/', 'pull/', 'terminal/'],
  ['runtime/', 'receive/', 'worker/', 'maintenance/', 'forward/'],
  ['migrations/', 'events/'],
  ['handlers/', 'queue/'],
  ['database/'],
  ['failpoint.ts', 'watchdog.ts'],
  ['config.ts', 'logger.ts', 'tracing.ts'],
  [
    'client-address.ts',
    'database-url.ts',
    'errors.ts',
    'exact-json.ts',
    'http-client.ts',
    'printable.ts',
    'supported-node.ts',
    'texts.ts',
  ],
  ['postgres-errors.ts'],
];

/** Who may import the providers; they import nothing of the house but these files. */
const usesProviders = [
  'alerts/',
  'commands/',
  'demo/',
  'dev/',
  'doctor/',
  'http/',
  'init/',
  'ops/',
  'pull/',
  'terminal/',
  'runtime/',
  'receive/',
  'handlers/',
  'forward/',
  'testing/',
];
const usedByProviders = ['errors.ts', 'printable.ts'];

const owners: Readonly<Record<string, readonly string[]>> = {
  pg: ['database/'],
  'pg-boss': ['queue/'],
  fastify: ['http/', 'ops/', 'fastify.ts'],
  'postgres-migrations': ['migrations/'],
  pino: ['logger.ts'],
  'prom-client': [
    'http/metrics.ts',
    'http/worker-metrics.ts',
    'http/process-metrics.ts',
    'http/inbox-gauges.ts',
  ],
  '@opentelemetry/api': ['tracing.ts'],
  'node:https': ['http-client.ts'],
  commander: ['main.ts', 'commands/'],
};

/** The demo shows the SQL that an operator types into psql, and runs that same text. */
const writesAsOperator = 'demo/event-queries.ts';

const sqlFolder = new URL('../sql/', import.meta.url);
const ownTables = readdirSync(sqlFolder)
  .flatMap((name) => [
    ...readFileSync(new URL(name, sqlFolder), 'utf8').matchAll(/^CREATE (?:TABLE|VIEW) (\w+)/gm),
  ])
  .map(([, name]) => name!);
const own = ['postbell_migrations', ...ownTables].join('|');
/** A table's name after an SQL keyword, or as text in a call of Postgres, e.g. of `to_regclass`. */
const unqualified = new RegExp(
  String.raw`\b(?:FROM|JOIN|INTO|UPDATE|TABLE|USING|ONLY|VIEW) (?:${own})|\b[a-z]+_[a-z_]+\('(?:${own})`,
  'g',
);
/** A name with another schema than a placeholder, or a lock or channel without one. */
const fixedSchema = /(?<!\.)\b(?:public|pgboss)\.\w+|(?:hashtextextended|pg_notify)\('(?!\{postbell\}|\$)/g;
/** The text of the program without comments. */
const withoutComments = (text: string) => text.replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'`])\/\/.*$/gm, '');

const roomOf = (file: string) => (file.includes('/') ? `${file.split('/')[0]}/` : file);
const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room));
const matches = (file: string, pattern: string) =>
  pattern.endsWith('/') ? file.startsWith(pattern) : file === pattern;
const isIn = (file: string, patterns: readonly string[]) =>
  patterns.some((pattern) => matches(file, pattern));

function importProblem(file: string, target: string): string | undefined {
  const [room, targetRoom] = [roomOf(file), roomOf(target)];
  if (room === targetRoom) return undefined;
  if (targetRoom === 'providers/')
    return usesProviders.includes(room)
      ? undefined
      : `imports ${target}, which only ${usesProviders.join(', ')} may`;
  if (room === 'providers/')
    return usedByProviders.includes(target) ? undefined : `imports ${target}: providers stand alone`;
  if (floorOf(targetRoom) > floorOf(room)) return undefined;
  return `imports ${target}, which is ${floorOf(targetRoom) === floorOf(room) ? 'beside' : 'above'} it`;
}

function problemsOf(file: string, text: string): string[] {
  const problems: string[] = [];
  if (roomOf(file) !== 'providers/' && floorOf(roomOf(file)) === -1)
    problems.push('is in no room; add it to test/imports.ts');
  for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    if (specifier!.startsWith('.')) {
      const target = relative(root, resolve(root, dirname(file), specifier!));
      const problem = target.startsWith('..') ? undefined : importProblem(file, target);
      if (problem) problems.push(problem);
      continue;
    }
    const name = specifier!
      .split('/')
      .slice(0, specifier!.startsWith('@') ? 2 : 1)
      .join('/');
    const allowed = owners[name];
    if (allowed && !isIn(file, allowed))
      problems.push(`imports ${name}, which only ${allowed.join(', ')} may`);
  }
  if (file !== 'config.ts' && /\bprocess\.env\b/.test(text))
    problems.push('reads process.env; only config.ts may');
  if (
    roomOf(file) !== 'events/' &&
    file !== writesAsOperator &&
    /\b(INSERT INTO|UPDATE|DELETE FROM) webhook_events\b/.test(text)
  )
    problems.push('writes webhook_events; its statements live in events/');
  if (file !== writesAsOperator) {
    const code = withoutComments(text);
    for (const [found] of [...code.matchAll(unqualified), ...code.matchAll(fixedSchema)])
      problems.push(`has "${found}": write {inbox}.<table>, {queue}.<table>, '{postbell} <lock>'`);
  }
  return problems;
}

const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)));
for (const file of files) {
  for (const problem of problemsOf(file, readFileSync(join(root, file), 'utf8'))) {
    process.stderr.write(`${file}: ${problem}\n`);
    process.exitCode = 1;
  }
}
