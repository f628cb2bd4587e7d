// `npx node bench/ops/main.ts`: each page of the operators with millions of events, its statements, their plans and times.
import { parseArgs } from 'node:util';
import pino from 'pino';
import { createServer } from '../../src/http/server.ts';
import { registerOps } from '../../src/ops/plugin.ts';
import { loadConnectedSettings } from '../../src/runtime/settings.ts';
import type { Query } from '../machine/postgres.ts';
import { prepare, templateOf } from '../measure/stage.ts';
import { withSession } from '../session.ts';
import { postbell } from '../systems/postbell.ts';
import { countHours, fillEvents } from './fill.ts';
import { explain, type Plan, recordStatements } from './statements.ts';

const usage = `Usage: npx node bench/ops/main.ts [options]

  --events N   events in the table (10,000,000: some 10 GB of disk below TMPDIR)
  --runs N     of each page and statement; the table shows the median (5)
`;
const password = 'sixteen-letters-of-ops';
const say = (text: string) => void process.stdout.write(`${text}\n`);
/** Beyond the page's own limit, to see how long a statement would take. */
const explainTimeoutMs = 120_000;

/** The pages, with the filters that people use. */
async function pathsOf(query: Query): Promise<[title: string, path: string][]> {
  const one = async (status: string) =>
    (
      await query<{ source: string; id: string; at: string; entity: string }>(
        `SELECT source, event_id AS id, entity, to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
         FROM webhook_events WHERE status = $1 AND entity IS NOT NULL ORDER BY received_at OFFSET 20 LIMIT 1`,
        [status],
      )
    )[0]!;
  const [failed, old] = [await one('FAILED'), await one('PROCESSED')];
  const [beside] = await query<{ source: string; id: string; request: string; action: string }>(
    `SELECT (SELECT max(id) FROM captured_requests)::text AS request, source, event_id AS id,
       (SELECT max(id) FROM operator_actions WHERE action = 'promote')::text AS action FROM rehearsals ORDER BY rehearsals.id DESC LIMIT 1`,
  );
  const { source, id, request, action } = beside!;
  const query_ = (page: string, fields: Record<string, string>) =>
    `/ops/${page}?${new URLSearchParams(fields)}`;
  return [
    ['overview', '/ops'],
    ['events', '/ops/events'],
    ['events, the last page', query_('events', { after: `${old.at} ${old.source} ${old.id}` })],
    ['events, FAILED', query_('events', { status: 'FAILED' })],
    ['events, PENDING', query_('events', { status: 'PENDING' })],
    ['events, IGNORED', query_('events', { status: 'IGNORED' })],
    ['events, a large source', query_('events', { source: 'source-01' })],
    ['events, a small source', query_('events', { source: 'source-40' })],
    ['events, a source without events', query_('events', { source: 'none' })],
    ['events, a topic', query_('events', { topic: 'payout.*' })],
    ['events, a topic without events', query_('events', { topic: 'none.*' })],
    ['events, by id', query_('events', { id: old.id })],
    ['events, by entity', query_('events', { entity: old.entity })],
    ['events, FAILED of a small source', query_('events', { status: 'FAILED', source: 'source-40' })],
    ['events, error of 24 h', query_('events', { error: 'nobody' })],
    ['events, payload of 24 h', query_('events', { path: 'data.object.id', value: 'none' })],
    ['event, dead', query_('event', { source: failed.source, id: failed.id })],
    ['event, processed', query_('event', { source: old.source, id: old.id })],
    ['event with a rehearsal', query_('event', { source, id })],
    ['dead letters', '/ops/dead-letters'],
    ['dead letters of a small source', query_('dead-letters', { source: 'source-40' })],
    ['replay, all FAILED', query_('replay', { status: 'FAILED' })],
    [
      'replay, a group',
      query_('replay', {
        status: 'FAILED',
        source: 'source-01',
        topic: 'invoice.paid',
        group: 'PermanentError: order * is gone',
      }),
    ],
    ['replay, PROCESSED of a small source', query_('replay', { status: 'PROCESSED', source: 'source-40' })],
    ['rejections and quarantine', '/ops/rejections'],
    ['rejections and quarantine of a source', query_('rejections', { source: 'source-01' })],
    ['live requests', '/ops/requests'],
    ['live requests, paused', query_('requests', { up_to: request })],
    ['live requests of a source', query_('requests', { source: 'source-01' })],
    ['a live request', query_('request', { id: request })],
    ['actions', '/ops/actions'],
    ['action, a promotion', query_('action', { id: action })],
  ];
}

interface PageResult {
  title: string;
  status: number;
  p50Ms: number;
}

/** By the real plugin, in this process. */
async function measurePages(url: string, query: Query, runs: number): Promise<void> {
  const log = pino({ level: 'silent' });
  const app = createServer({ bodyLimitBytes: 1_048_576, log });
  const closing = registerOps(app, {
    settings: loadConnectedSettings({ DATABASE_URL: url, OPS_PASSWORD: password }),
    log,
  });
  const base = await app.listen({ port: 0, host: '127.0.0.1' });
  const headers = { accept: 'text/html', authorization: `Basic ${btoa(`ada:${password}`)}` };
  await query(`SET statement_timeout = ${explainTimeoutMs}`);
  say('| page | p50 ms | statement | ms | rows read | buffers | scans |\n|---|---:|---|---:|---:|---:|---|');
  const results: PageResult[] = [];
  for (const [title, path] of await pathsOf(query)) {
    const times: number[] = [];
    let status = 0;
    const ask = async () => {
      const startedAt = performance.now();
      const response = await fetch(base + path, { headers });
      await response.arrayBuffer();
      status = response.status;
      times.push(performance.now() - startedAt);
    };
    await ask();
    const statements = await recordStatements(ask);
    for (let run = 2; run < runs; run++) await ask();
    const p50Ms = times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
    results.push({ title, status, p50Ms });
    const shownStatus = status === 200 ? '' : ` (${status})`;
    const plans: (Plan | Error)[] = [];
    for (const statement of statements)
      plans.push(await explain(query, statement, runs).catch((error: Error) => error));
    for (const [index, plan] of plans.entries()) {
      const page = index === 0 ? `${title}${shownStatus} | ${p50Ms.toFixed(0)}` : ' | ';
      const what = `\`${nameOf(statements[index]!.text)}\``;
      say(
        plan instanceof Error
          ? `| ${page} | ${what} | ${plan.message} | | | |`
          : `| ${page} | ${what} | ${plan.ms.toFixed(1)} | ${plan.rowsRead.toLocaleString('en-US')} | ${plan.buffers.toLocaleString('en-US')} | ${plan.scans.slice(0, 3).join(', ')} |`,
      );
    }
  }
  await app.close();
  for (const { run } of closing) await run();
  const slow = results.filter(({ p50Ms, status }) => p50Ms > 3_000 || status !== 200);
  say(
    slow.length === 0
      ? '\nEvery page within 3 s.'
      : `\nBeyond 3 s: ${slow.map(({ title }) => title).join('; ')}`,
  );
}

/** The table that it is about. */
function nameOf(text: string): string {
  const tables = [...text.matchAll(/(?:FROM|JOIN) (?:"?\w+"?\.)"?(\w+)/g)].map(([, table]) => table!);
  const table = tables.includes('webhook_events') ? 'webhook_events' : (tables[0] ?? 'the time');
  return /^\s*SELECT (source, )?count\(\*\)/.test(text) ? `${table}, counted` : table;
}

async function main(events: number, runs: number): Promise<void> {
  await withSession(
    { from: 'src', profiles: undefined, systems: [postbell], watches: false, say },
    async (session) => {
      await prepare(session, postbell);
      const database = 'ops';
      await session.cluster.create(database, templateOf(postbell));
      await session.cluster.within(database, async (query) => {
        const startedAt = performance.now();
        await fillEvents(query, events, say);
        say(`${events} events in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
        const countedAt = performance.now();
        const hours = await countHours(session.cluster.urlOf(database));
        say(`${hours} hours counted in ${((performance.now() - countedAt) / 1_000).toFixed(0)} s`);
        await query('VACUUM (ANALYZE)');
        const [size] = await query<{ size: string }>(
          'SELECT pg_size_pretty(pg_database_size(current_database())) AS size',
        );
        say(`the database has ${size!.size}\n`);
        await measurePages(session.cluster.urlOf(database), query, runs);
      });
    },
  );
}

try {
  const { values } = parseArgs({
    options: { events: { type: 'string' }, runs: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const [events, runs] = [Number(values.events ?? 10_000_000), Number(values.runs ?? 5)];
  if (values.help || !Number.isInteger(events) || events < 10_000 || !Number.isInteger(runs) || runs < 2)
    say(usage);
  else await main(events, runs);
  process.exit(0);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(1);
}
