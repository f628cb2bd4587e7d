// F4-F6: Postgres restarted and crashed under load, also where it is set to commit asynchronously.
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { isRunning } from '../../support/processes.ts';
import { type Cluster, startCluster } from '../cluster.ts';
import { dishonestAnswers, startLoad, timeRecovery } from '../load.ts';
import { openRig } from '../rig.ts';
import { clock } from '../sender.ts';
import type { Fault, FaultContext } from './fault.ts';

export const ackLimitMs = 10_000;
export const processedLimitMs = 20_000;
/**
 * Twice RECEIVE_TIMEOUT_MS: a delivery that a batch takes up just before its deadline waits for the batch's statement as long
 * again. And time for a machine that is busy with other tests.
 */
export const answerLimitMs = 8_000;

export const databaseRestarts: Fault = {
  id: 'F4',
  title: 'Postgres restarted under load',
  run: (context) =>
    underLoad(context, { repeats: [1, 20], settings: {} }, (cluster) => cluster.restart('fast')),
};

export const databaseCrashes: Fault = {
  id: 'F5',
  title: 'Postgres crashed under load: immediate stop, and a backend killed',
  run: (context) =>
    underLoad(context, { repeats: [2, 20], settings: {} }, (cluster, round, pool) =>
      round % 2 ? killBackend(pool) : cluster.restart('immediate'),
    ),
};

export const asynchronousCommits: Fault = {
  id: 'F6',
  title: 'the same with synchronous_commit=off set on the database',
  run: (context) =>
    underLoad(
      context,
      {
        repeats: [1, 20],
        settings: { wal_writer_delay: '10s' },
        sql: 'ALTER DATABASE postgres SET synchronous_commit = off',
      },
      (cluster) => cluster.restart('immediate'),
    ),
};

async function underLoad(
  context: FaultContext,
  { repeats, settings, sql }: { repeats: [number, number]; settings: Record<string, string>; sql?: string },
  fault: (cluster: Cluster, round: number, pool: pg.Pool) => Promise<void>,
): Promise<void> {
  const rounds = context.repeats(...repeats);
  const cluster = await startCluster(context.t, { settings });
  const rig = await openRig(context.t, { url: cluster.url });
  if (sql) await rig.pool.query(sql);
  const processes = await Promise.all([rig.web(), rig.web(), rig.worker()]);
  const from = clock();
  const load = startLoad(rig, { prefix: 'evt', perSecond: context.isFull ? 150 : 50 });
  let processedMs = 0;
  for (let round = 0; round < rounds; round++) {
    await delay(500 + 1_000 * context.random());
    await fault(cluster, round, rig.pool);
    const recovery = await timeRecovery(rig, clock(), `after_${round}`);
    context.recovered(recovery.ackMs, ackLimitMs, 'the first 200 after the fault');
    processedMs = Math.max(processedMs, recovery.processedMs);
  }
  await load.stop();
  context.expect(processedMs <= processedLimitMs, `the first PROCESSED took ${processedMs} ms`);
  context.note(`first PROCESSED after ${(processedMs / 1_000).toFixed(1)} s at most`);
  for (const { detail } of dishonestAnswers(rig.sender.sent, answerLimitMs).slice(0, 5))
    context.expect(false, `A10 ${detail}`);
  context.expect(
    processes.every(({ pid }) => isRunning(pid)),
    'a process ended',
  );
  const outageMs = clock() - from;
  context.note(`${Math.round(outageMs / 1_000)} s under load`);
  await context.balance(rig, { mayExceedAttemptsBy: 100, drainMs: 120_000 });
}

/** The postmaster then ends all other sessions and recovers, as after a segmentation fault. */
async function killBackend(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'postbell web' LIMIT 1`,
  );
  process.kill(rows[0]!.pid, 'SIGKILL');
}
