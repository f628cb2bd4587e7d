// F23: PgBouncer in transaction mode between the processes and Postgres.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { atEnd } from '../../support/at-end.ts';
import { freePort } from '../../support/ports.ts';
import { isRunning } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';
import { startCluster } from '../cluster.ts';
import { startLoad, timeRecovery } from '../load.ts';
import { clock } from '../sender.ts';
import { ackLimitMs } from './database-faults.ts';
import { type Fault, type FaultContext, NotRun } from './fault.ts';

export const transactionPooler: Fault = {
  id: 'F23',
  title: 'PgBouncer in transaction mode, stock configuration; kills and restarts behind it',
  run: async (context) => {
    context.repeats(1, 1);
    const cluster = await startCluster(context.t);
    const url = await startPgBouncer(context, cluster.url);
    const env = { DATABASE_POOLER: 'true' };
    const rig = await context.rig({ url: cluster.url, processUrl: url, env });
    const steady = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
    for (const site of ['web.after-insert', 'web.commit-sent']) {
      const victim = await rig.web({ POSTBELL_FAILPOINT: `${site}:kill` });
      await victim.exited;
    }
    for (const site of ['worker.after-handler', 'worker.commit-sent']) {
      const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` });
      await victim.exited;
    }
    await cluster.restart('fast');
    const { ackMs } = await timeRecovery(rig, clock(), 'after');
    context.recovered(ackMs, ackLimitMs, 'the first 200 after the restart');
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
    context.note('web and worker killed at two places each, Postgres restarted; the worker polls');
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};

async function startPgBouncer({ t }: FaultContext, databaseUrl: string): Promise<string> {
  const { stdout = '' } = spawnSync('sh', ['-c', 'command -v pgbouncer || ls /usr/sbin/pgbouncer'], {
    encoding: 'utf8',
  });
  const binary = stdout.trim();
  if (!binary) throw new NotRun('PgBouncer is not installed (apt-get install pgbouncer)');
  const target = new URL(databaseUrl);
  const port = await freePort();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postbell-pgbouncer-'));
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  const users = path.join(folder, 'users.txt');
  writeFileSync(users, `"${target.username}" "${decodeURIComponent(target.password)}"\n`);
  const configuration = path.join(folder, 'pgbouncer.ini');
  writeFileSync(
    configuration,
    `[databases]\n* = host=127.0.0.1 port=${target.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = ${users}\npool_mode = transaction\n`,
  );
  const isRoot = process.getuid?.() === 0; // it refuses to be run as root
  const bouncer = spawn(binary, [...(isRoot ? ['-u', 'nobody'] : []), configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  bouncer.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  atEnd(t, async () => {
    bouncer.kill('SIGKILL');
    if (bouncer.exitCode === null) await once(bouncer, 'exit');
  });
  const url = new URL(databaseUrl);
  url.port = String(port);
  const canConnect = async () => {
    const client = new pg.Client({ connectionString: url.href });
    client.on('error', () => {});
    await client.connect();
    await client.end();
    return true;
  };
  await waitFor(canConnect, { what: 'PgBouncer', timeoutMs: 15_000 }).catch((error: Error) => {
    throw new Error(`${error.message}; PgBouncer said: ${log.slice(-500)}`);
  });
  return url.href;
}
