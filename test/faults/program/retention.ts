// F27-F29: time that passes, jobs that vanish, deliveries that come back after years.
import { setTimeout as delay } from 'node:timers/promises';
import { runProcess, type TestProcess } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';
import { copySource } from '../mutants/source-copy.ts';
import { type Rig, testProfile } from '../rig.ts';
import type { Fault } from './fault.ts';

export const longPause: Fault = {
  id: 'F27',
  title: 'the workers stood still for 15 and for 400 days',
  run: async (context) => {
    const days = [15, 400];
    context.repeats(days.length, days.length);
    // With the retention of pg-boss's own default: shows that time does pass here.
    const root = copySource(context.t, [
      {
        file: 'src/queue/policy.ts',
        find: 'const retention = { retentionSeconds: tenYears,',
        replace: 'const retention = { retentionSeconds: 14 * 86_400,',
      },
    ]);
    const [rig, contrast] = await Promise.all([context.rig(), context.rig({ root })]);
    await makeDeadLetters(rig);
    for (const count of days)
      context.expect(!(await standStill(rig, count)), `after ${count} days jobs had been deleted`);
    const { rowCount } = await rig.pool.query('SELECT FROM dead_letters');
    context.expect(rowCount === 2, `${rowCount} of 2 dead letters are left`);
    context.expect(await standStill(contrast, 15), 'this test cannot see jobs being deleted');
    context.note(
      'time passes by moving every timestamp of pg-boss and of the events back; with a retention of 14 days, pg-boss deletes the jobs and they are healed',
    );
    await context.balance(rig);
    await context.balance(contrast, { ignores: ({ invariant }) => invariant === 'A2' });
  },
};

async function makeDeadLetters(rig: Rig): Promise<void> {
  const [web, worker] = await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_dead', act: { do: 'permanent' } });
  await rig.sender.deliverUntilAcked({ id: 'evt_poison', act: { do: 'throw' } });
  await rig.waitForStatus('evt_dead', 'FAILED');
  await rig.waitForStatus('evt_poison', 'FAILED', 30_000);
  await stopAll(web, worker);
}

/** @returns whether jobs were deleted meanwhile, and had to be healed */
async function standStill(rig: Rig, days: number): Promise<boolean> {
  // The queue takes its policy from the last worker.
  const [web, before] = await Promise.all([rig.web(), rig.worker()]);
  await stopAll(before);
  const blocker = `blocker_${days}`;
  await rig.sender.deliverUntilAcked({ id: blocker, act: { do: 'wait-until-allowed', ms: 60_000 } });
  const ids = Array.from({ length: 50 }, (_, index) => `evt_${days}_${index}`);
  await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id })));
  await age(rig, days);
  // Busy, so that its supervisor comes by the jobs before its handlers do.
  const worker = await rig.worker({ WORKER_CONCURRENCY: '1' });
  await delay(8_000);
  await rig.pool.query('INSERT INTO allowed VALUES ($1)', [blocker]);
  for (const id of [blocker, ...ids]) await rig.waitForStatus(id, 'PROCESSED');
  const hasHealed = worker.output().includes('had lost their job');
  await stopAll(web, worker);
  return hasHealed;
}

async function stopAll(...processes: readonly TestProcess[]): Promise<void> {
  for (const process of processes) process.kill('SIGTERM');
  await Promise.all(processes.map(({ exited }) => exited));
}

/** Everything that is stored gets older by so many days. */
async function age(rig: Rig, days: number): Promise<void> {
  const { rows } = await rig.pool.query<{ relation: string; name: string }>(`
    SELECT format('%I.%I', table_schema, table_name) AS relation, column_name AS name
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE data_type = 'timestamp with time zone' AND table_type = 'BASE TABLE' AND is_generated = 'NEVER'
      AND (table_schema = 'pgboss' AND table_name IN ('job', 'queue')
        OR table_schema = 'public' AND table_name IN ('webhook_events', 'failed_attempts'))`);
  const byTable = Map.groupBy(rows, ({ relation }) => relation);
  for (const [relation, columns] of byTable) {
    const changes = columns.map(({ name }) => `${name} = ${name} - interval '${days} days'`).join(', ');
    await rig.pool.query(`UPDATE ${relation} SET ${changes}`);
  }
}

export const vanishedJobs: Fault = {
  id: 'F28',
  title: 'jobs deleted and truncated behind our back, pg-boss installed anew',
  run: async (context) => {
    const rig = await context.rig();
    const url = rig.pool.options.connectionString!;
    const [, first] = await Promise.all([rig.web(), rig.worker()]);
    first.kill('SIGTERM');
    await first.exited;
    const blows: Record<string, () => Promise<unknown>> = {
      'rows deleted': () => rig.pool.query(`DELETE FROM pgboss.job WHERE random() < 0.5`),
      'table truncated': () => rig.pool.query('TRUNCATE pgboss.job'),
      'schema dropped and installed anew': async () => {
        await rig.pool.query('DROP SCHEMA pgboss CASCADE');
        const { code, stderr } = await runProcess(['migrate'], {
          env: { ...testProfile, DATABASE_URL: url },
        });
        context.expect(code === 0, `migrate ended with ${code}: ${stderr.slice(0, 200)}`);
      },
    };
    const all = Object.entries(blows);
    context.repeats(all.length, all.length);
    for (const [index, [title, blow]] of all.entries()) {
      const ids = Array.from({ length: 100 }, (_, number) => `evt_${index}_${number}`);
      await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id })));
      await blow();
      const startedAt = performance.now();
      const worker = await rig.worker();
      for (const id of ids) await rig.waitForStatus(id, 'PROCESSED', 60_000);
      context.recovered(performance.now() - startedAt, 60_000, `${title}: from the start of a worker`);
      worker.kill('SIGTERM');
      await worker.exited;
    }
    context.note(all.map(([title]) => title).join(', '));
    await rig.worker();
    await context.balance(rig, { ignores: ({ detail }) => detail.startsWith('an event without a job') });
  },
};

export const purgedPayloads: Fault = {
  id: 'F29',
  title: 'a delivery that comes again after its event was purged',
  run: async (context) => {
    const rounds = [31, 400];
    context.repeats(rounds.length, rounds.length);
    const rig = await context.rig({ env: { PAYLOAD_RETENTION_DAYS: '30' } });
    await rig.web();
    for (const days of rounds) {
      const worker = await rig.worker();
      const ids = Array.from({ length: 50 }, (_, index) => `evt_${days}_${index}`);
      await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id })));
      await rig.drain();
      await age(rig, days);
      worker.kill('SIGTERM'); // the purge is done at the start, too
      await worker.exited;
      const purging = await rig.worker();
      const left = async () =>
        (await rig.pool.query('SELECT FROM webhook_events WHERE event_id = ANY ($1)', [ids])).rowCount;
      await waitFor(async () => (await left()) === 0, { what: `what is ${days} days old to be purged` });
      for (const id of ids) {
        const again = await rig.sender.deliver({ id });
        context.expect(again.duplicate === true, `after ${days} days ${id} was taken for new`);
      }
      context.expect((await left()) === 0, 'a purged event came back');
      purging.kill('SIGTERM');
      await purging.exited;
    }
    const { rows } = await rig.pool.query('SELECT event_id FROM effects GROUP BY 1 HAVING count(*) > 1');
    context.expect(rows.length === 0, `${rows.length} events had a second effect`);
    const { rows: size } = await rig.pool.query(
      'SELECT round(avg(pg_column_size(t.*))) AS bytes FROM tombstones t',
    );
    context.note(
      `${rounds.length * 50} events, each delivered again after its purge, no second effect; ${size[0].bytes} bytes a tombstone`,
    );
  },
};
