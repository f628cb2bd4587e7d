// The floor: Postbell's own rows and jobs, inserted in groups without HTTP, Node or a signature in the way.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled } from '../machine/tools.ts';
import { pendingStatements } from '../systems/clone-events.ts';
import type { Run, Session, System } from '../systems/system.ts';
import { withRun } from './stage.ts';

export interface FloorResult {
  name: string;
  rowsPerSecond: number;
}

const perTransaction = 200;
const pgbenchClients = 20;

export async function measureFloor(
  session: Session,
  system: System,
  options: { seconds: number },
): Promise<FloorResult[]> {
  const results: FloorResult[] = [];
  for (const sessions of [1, 2]) {
    const rowsPerSecond = await withRun(session, system, (run) => inGroups(run, sessions, options.seconds));
    const name = `event and job, ${perTransaction} a commit, inserted by Postgres itself, ${sessions} at a time`;
    results.push({ name, rowsPerSecond });
  }
  if (isInstalled('pgbench')) {
    const rowsPerSecond = await withRun(session, system, (run) => byPgbench(run, options.seconds));
    results.push({
      name: `event and job, one a commit, by pgbench with ${pgbenchClients} clients`,
      rowsPerSecond,
    });
  }
  for (const { name, rowsPerSecond } of results) session.say(`  ${name}: ${rowsPerSecond.toFixed(0)}/s`);
  return results;
}

async function inGroups(run: Run, sessions: number, seconds: number): Promise<number> {
  // Made beforehand: two sessions would make it at the same time.
  await run.cluster.within(run.database, (query) => pendingStatements(query, true));
  const startedAt = performance.now();
  const counts = await Promise.all(
    Array.from({ length: sessions }, (_, index) =>
      run.cluster.within(run.database, async (query) => {
        const statements = await pendingStatements(query, true);
        let from = (index + 1) * 100_000_000;
        let rows = 0;
        while (performance.now() - startedAt < seconds * 1_000) {
          const group = statements.map((statement) => statement(from, from + perTransaction - 1));
          // One message, one transaction, one commit.
          await query(`BEGIN; ${group.join(';')}; COMMIT`);
          from += perTransaction;
          rows += perTransaction;
        }
        return rows;
      }),
    ),
  );
  const rows = counts.reduce((sum, count) => sum + count, 0);
  return (rows * 1_000) / (performance.now() - startedAt);
}

async function byPgbench(run: Run, seconds: number): Promise<number> {
  const [event, job] = await run.cluster.within(run.database, (query) => pendingStatements(query, true));
  const one = (text: string) => text.replaceAll('\n', ' ').replaceAll('1::bigint', ':n::bigint');
  const script = join(run.workFolder, 'floor.pgbench');
  writeFileSync(
    script,
    `\\set n random(1000000000, 9000000000000000)\nBEGIN;\n${one(event!(1, 1))};\n${one(job!(1, 1))};\nCOMMIT;\n`,
  );
  const args = [
    '-n',
    '-M',
    'prepared',
    '-c',
    String(pgbenchClients),
    '-j',
    '1',
    '-T',
    String(seconds),
    '-f',
    script,
  ];
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn('pgbench', [...args, run.databaseUrl], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += data));
    child.on('error', reject);
    child.on('close', () => resolve(text));
  });
  const perSecond = /tps = ([\d.]+)/.exec(output)?.[1];
  if (!perSecond) throw new Error(`pgbench gave no result:\n${output}`);
  return Number(perSecond);
}
