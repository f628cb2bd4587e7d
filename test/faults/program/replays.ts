// F30, F31: dead letters run again, by two operators, and again while they run.
import { isRunning, runProcess } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';
import { testProfile } from '../rig.ts';
import type { Fault } from './fault.ts';

export const manyReplays: Fault = {
  id: 'F30',
  title:
    'a thousand dead letters replayed by two operators at once, half of them fail again; a crash on the way',
  run: async (context) => {
    const count = context.repeats(200, 1_000);
    const rig = await context.rig({ env: { MAX_ATTEMPTS: '2' } });
    const [, first] = await Promise.all([rig.web(), rig.worker({ WORKER_CONCURRENCY: '10' })]);
    const act = { do: 'throw-until-allowed' };
    const ids = Array.from({ length: count }, (_, index) => `evt_${index}`);
    for (let from = 0; from < count; from += 100)
      await Promise.all(ids.slice(from, from + 100).map((id) => rig.sender.deliverUntilAcked({ id, act })));
    await rig.drain(120_000);
    await rig.pool.query(
      `INSERT INTO allowed SELECT event_id FROM webhook_events WHERE substring(event_id FROM 5)::int % 2 = 0`,
    );
    first.kill('SIGTERM');
    await first.exited;
    // Alone, so that it is the one that gives them their jobs, and dies of it.
    const victim = await rig.worker({ POSTBELL_FAILPOINT: 'worker.redrive:kill' });
    const env = { ...testProfile, DATABASE_URL: rig.pool.options.connectionString! };
    const operator = () => runProcess(['replay', '--status', 'FAILED', '--yes', '--json'], { env });
    const ends = await Promise.all([operator(), operator()]);
    const replayed = ends.map(({ stdout }) => (JSON.parse(stdout) as { replayed: number }).replayed);
    context.expect(
      replayed[0]! + replayed[1]! === count,
      `${replayed.join(' + ')} of ${count} were replayed`,
    );
    await waitFor(() => !isRunning(victim.pid), { what: 'the worker to crash while it redrives' });
    await rig.worker({ WORKER_CONCURRENCY: '10' });
    await rig.drain(120_000);
    const { rows } = await rig.pool.query<{ status: string; count: number }>(
      'SELECT status, count(*)::int AS count FROM webhook_events GROUP BY 1 ORDER BY 1',
    );
    context.expect(
      JSON.stringify(rows.map(({ status, count }) => [status, count])) ===
        JSON.stringify([
          ['FAILED', count / 2],
          ['PROCESSED', count / 2],
        ]),
      `half of them should be PROCESSED: ${JSON.stringify(rows)}`,
    );
    context.note(`the two operators replayed ${replayed.join(' and ')}`);
    await context.balance(rig, { maxAttempts: 2, replayed: new Set(ids) });
  },
};

export const repeatedReplays: Fault = {
  id: 'F31',
  title: 'one event replayed again and again while it runs',
  run: async (context) => {
    const repeats = context.repeats(10, 100);
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.worker(), rig.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt', act: { do: 'throw-until-allowed' } });
    await rig.waitForStatus('evt', 'FAILED', 30_000);
    await rig.pool.query(`INSERT INTO allowed VALUES ('evt')`);
    // Until the first of them has run: a PROCESSED event that is replayed has its effect again, as was asked for.
    const replay = `UPDATE webhook_events SET status = 'PENDING' WHERE status IN ('FAILED', 'PENDING')`;
    await Promise.all(Array.from({ length: repeats }, () => rig.pool.query(replay)));
    await rig.drain();
    context.expect((await rig.status('evt')) === 'PROCESSED', 'it was not run again');
    context.note(
      'Postbell has no singleton keys, on which pg-boss used to delete: a replay is a change of status',
    );
    await context.balance(rig, { replayed: new Set(['evt']) });
  },
};
