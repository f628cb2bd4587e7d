// The statements that a page sends, and their plans: recorded where `pg` sends them, then explained with the same values.
import { createRequire } from 'node:module';
import type pgModule from 'pg';
import type { Query } from '../machine/postgres.ts';

/** The copy that the pages use: once the peers are installed, the benchmark has one of its own. */
const pg: typeof pgModule = createRequire(new URL('../../src/index.ts', import.meta.url))('pg');

export interface Statement {
  text: string;
  values: unknown[];
}

/** The statements that `work` sends to Postgres by any client of this process, without BEGIN, COMMIT and the like. */
export async function recordStatements(work: () => Promise<unknown>): Promise<Statement[]> {
  const { prototype } = pg.Client;
  const send = prototype.query;
  const statements: Statement[] = [];
  prototype.query = function (
    this: pgModule.Client,
    config: string | pgModule.QueryConfig,
    ...rest: unknown[]
  ) {
    const text = typeof config === 'string' ? config : config.text;
    const values = (typeof config === 'string' ? rest[0] : config.values) ?? [];
    if (/^\s*(SELECT|WITH)\b/i.test(text) && !text.includes('set_config'))
      statements.push({ text, values: Array.isArray(values) ? values : [] });
    return send.apply(this, [config, ...rest] as never);
  } as typeof send;
  try {
    await work();
  } finally {
    prototype.query = send;
  }
  if (statements.length === 0) throw new Error('no statement was recorded');
  return statements;
}

export interface Plan {
  ms: number;
  /** Rows read from tables and indexes, also rows that a filter removed. */
  rowsRead: number;
  /** Pages of 8 KB, from memory or disk. */
  buffers: number;
  /** The scans, the largest first, as `Index Scan webhook_events_received`. */
  scans: string[];
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Node[];
}

/** The median of `runs`. */
export async function explain(query: Query, { text, values }: Statement, runs: number): Promise<Plan> {
  const found: Plan[] = [];
  for (let run = 0; run < runs; run++) {
    const [row] = await query<{ 'QUERY PLAN': [{ Plan: Node; 'Execution Time': number }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${text}`,
      values,
    );
    const [{ Plan: root, 'Execution Time': ms }] = row!['QUERY PLAN'];
    const scans = scansIn(root);
    found.push({
      ms,
      rowsRead: scans.reduce((sum, { rows }) => sum + rows, 0),
      buffers: root['Shared Hit Blocks'] + root['Shared Read Blocks'],
      scans: [...new Set(scans.sort((a, b) => b.rows - a.rows).map(({ name }) => name))],
    });
  }
  return found.sort((a, b) => a.ms - b.ms)[Math.floor(runs / 2)]!;
}

function scansIn(node: Node): { name: string; rows: number }[] {
  const own = node['Node Type'].endsWith('Scan') && (node['Relation Name'] ?? node['Index Name']);
  const read =
    node['Actual Rows'] +
    (node['Rows Removed by Filter'] ?? 0) +
    (node['Rows Removed by Index Recheck'] ?? 0);
  const name = `${node['Node Type']} ${node['Index Name'] ?? node['Relation Name']}`;
  return [
    ...(own ? [{ name, rows: Math.round(read * node['Actual Loops']) }] : []),
    ...(node.Plans ?? []).flatMap(scansIn),
  ];
}
