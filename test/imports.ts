// Part of `npm run lint`: imports go downward only, and each outside thing has one owner (DESIGN.md, Layout).
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../src/', import.meta.url));

/** Top to bottom. A file may import from its own layer and from those below. */
const layers: readonly (readonly string[])[] = [
  ['cli.ts', 'index.ts', 'commands/'],
  ['http/', 'ops/'],
  [
    'receive.ts',
    'store-deliveries.ts',
    'worker.ts',
    'attempts.ts',
    'jobs-in-hand.ts',
    'completions.ts',
    'handle.ts',
    'handle-batch.ts',
    'handle-shared.ts',
    'handler-pace.ts',
    'settle-failure.ts',
    'hand-back.ts',
    'within-time.ts',
    'plan.ts',
    'guarded-transaction.ts',
    'replay.ts',
    'metrics.ts',
    'watchdog.ts',
  ],
  [
    'reconcile.ts',
    'purge.ts',
    'rejections.ts',
    'stored-sources.ts',
    'sql-answers.ts',
    'setup-windows.ts',
    'migrate.ts',
  ],
  [
    'events.ts',
    'event-jobs.ts',
    'event-outcomes.ts',
    'event-queries.ts',
    'event-statistics.ts',
    'event-filter.ts',
    'event-retention.ts',
    'queue/',
    'suspects.ts',
    'sources.ts',
    'providers/',
    'handlers.ts',
  ],
  ['binary-array.ts', 'database/', 'server-facts.ts', 'embedded-postgres/'],
  ['failpoint.ts', 'repeat.ts'],
  ['config.ts', 'logger.ts', 'errors.ts', 'printable.ts', 'is-alive.ts', 'time-ordered-uuid.ts'],
];

const owners: Record<string, readonly string[]> = {
  pg: ['database/'],
  'pg-boss': ['queue/'],
  fastify: ['http/', 'ops/'],
  'postgres-migrations': ['migrate.ts'],
  pino: ['logger.ts'],
  'prom-client': ['metrics.ts'],
  commander: ['cli.ts', 'commands/'],
};

const matches = (file: string, pattern: string) =>
  pattern.endsWith('/') ? file.startsWith(pattern) : file === pattern;
const layerOf = (file: string) =>
  layers.findIndex((layer) => layer.some((pattern) => matches(file, pattern)));

const problems: string[] = [];
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  const path = join(entry.parentPath, entry.name);
  const file = relative(root, path);
  const text = readFileSync(path, 'utf8');
  const layer = layerOf(file);
  if (layer === -1) problems.push(`${file}: not in a layer; add it to test/imports.ts`);
  for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
    if (specifier!.startsWith('.')) {
      const target = relative(root, resolve(dirname(path), specifier!));
      if (target.startsWith('..')) continue;
      if (layerOf(target) < layer) problems.push(`${file}: imports ${target}, which is above it`);
    } else {
      const name = specifier!.startsWith('@')
        ? specifier!.split('/').slice(0, 2).join('/')
        : specifier!.split('/')[0]!;
      const allowed = owners[name];
      if (allowed && !allowed.some((pattern) => matches(file, pattern))) {
        problems.push(`${file}: imports ${name}, which only ${allowed.join(', ')} may`);
      }
    }
  }
  if (file !== 'config.ts' && /\bprocess\.env\b/.test(text))
    problems.push(`${file}: reads process.env; only config.ts may`);
  if (
    !/^events?(-jobs|-outcomes|-queries|-filter|-retention)?\.ts$/.test(basename(file)) &&
    /\b(INSERT INTO|UPDATE|DELETE FROM) webhook_events\b/.test(text)
  ) {
    problems.push(`${file}: writes webhook_events; its statements live in events.ts and event-*.ts`);
  }
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length ? 1 : 0;
