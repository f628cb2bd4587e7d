// F23: PgBouncer in transaction mode between the processes and Postgres.
import { setTimeout as delay } from 'node:timers/promises';
import { NotRun } from '../../support/impossibilities.ts';
import { startPgBouncer } from '../../support/pgbouncer.ts';
import { isRunning } from '../../support/processes.ts';
import { startCluster } from '../cluster.ts';
import { startLoad, timeRecovery } from '../load.ts';
import { clock } from '../sender.ts';
import { ackLimitMs } from './database-faults.ts';
import type { Fault } from './fault.ts';

/** server_login_retry: so long PgBouncer itself waits before it tries again to log in to a server that was away. */
const loginRetryMs = 15_000;

export const transactionPooler: Fault = {
  id: 'F23',
  title: 'PgBouncer in transaction mode, stock configuration; kills and restarts behind it',
  run: async (context) => {
    context.repeats(1, 1);
    const cluster = await startCluster(context.t);
    const url = await startPgBouncer(context.t, cluster.url);
    if (url === undefined) throw new NotRun('F23');
    const env = { DATABASE_POOLER: 'true' };
    const rig = await context.rig({ url: cluster.url, processUrl: url, env });
    const steady = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
    // Under load, the first event kills them: maybe before they have logged that they are ready.
    for (const site of ['web.after-insert', 'web.commit-sent']) {
      const victim = await rig.web({ POSTBELL_FAILPOINT: `${site}:kill` }, { wait: false });
      await victim.exited;
    }
    for (const site of ['worker.after-handler', 'worker.commit-sent']) {
      const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` }, { wait: false });
      await victim.exited;
    }
    await cluster.restart('fast');
    const { ackMs } = await timeRecovery(rig, clock(), 'after');
    context.recovered(ackMs, ackLimitMs + loginRetryMs, 'the first 200 after the restart');
    await delay(2_000);
    await load.stop();
    context.expect(
      steady.every(({ pid }) => isRunning(pid)),
      'a process has ended',
    );
    const { rows } = await rig.pool.query(
      `SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`,
    );
    context.expect(rows[0].count === 0, 'advisory locks are held on pooled sessions');
    context.note(
      'web and worker killed at two places each, Postgres restarted; the worker polls; PgBouncer waits 15 s of its own after a failed log-in',
    );
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};
