// F50, F51: an old backup comes back; and everything at once for a while.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startCluster } from '../cluster.ts';
import { startLoad } from '../load.ts';
import type { Fault } from './fault.ts';

export const restoredBackup: Fault = {
  id: 'F50',
  title: 'the database goes back to a backup',
  run: async (context) => {
    context.repeats(1, 1);
    const cluster = await startCluster(context.t);
    const rig = await context.rig({ url: cluster.url });
    const database = (name: string) => {
      const url = new URL(cluster.url);
      url.pathname = `/${name}`;
      return url.href;
    };
    const first = await Promise.all([rig.web(), rig.worker()]);
    const ids = Array.from({ length: 100 }, (_, index) => `evt_${index}`);
    await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id })));
    await rig.drain();
    first[1].kill('SIGTERM');
    await first[1].exited;
    const open = Array.from({ length: 50 }, (_, index) => `open_${index}`);
    await Promise.all(open.map((id) => rig.sender.deliverUntilAcked({ id })));
    first[0].kill('SIGTERM');
    await first[0].exited;
    // A copy of the files at this moment, as a restored backup is.
    await copyDatabase(cluster.url, 'postgres', 'restored');

    const restored = await context.rig({ url: database('restored'), hasTables: true });
    await Promise.all([restored.web(), restored.worker()]);
    await restored.drain();
    const twice = await restored.pool.query('SELECT event_id FROM effects GROUP BY 1 HAVING count(*) > 1');
    context.expect(twice.rowCount === 0, `${twice.rowCount} processed events were run again`);
    for (const id of [...ids.slice(0, 20), ...open.slice(0, 20)]) {
      const again = await restored.sender.deliver({ id });
      context.expect(again.duplicate === true, `${id} was taken for new after the restore`);
    }
    context.note(
      'the backup is a copy of the files; what came after it is gone with the database, as the README says',
    );
    await context.balance(restored, { sent: [...rig.sender.sent, ...restored.sender.sent] });
  },
};

async function copyDatabase(url: string, from: string, to: string): Promise<void> {
  const admin = new URL(url);
  admin.pathname = '/template1';
  const client = new pg.Client({ connectionString: admin.href });
  await client.connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${from}'`);
  await client.query(`CREATE DATABASE ${to} TEMPLATE ${from}`);
  await client.end();
}

export const soak: Fault = {
  id: 'F51',
  title: 'soak: failing handlers, restarts, held snapshots',
  isLong: true,
  run: async (context) => {
    const seconds = context.isFull ? 240 : 20;
    context.repeats(1, 1);
    const rig = await context.rig();
    const perSecond = context.isFull ? 150 : 50;
    const order = (index: number) =>
      index % 20 === 0 ? { act: { do: 'throw-times', times: 1 + (index % 3) } } : {};
    let web = await rig.web();
    const steady = await rig.worker();
    let worker = await rig.worker();
    const load = startLoad(rig, { prefix: 'evt', perSecond, order });
    const samples: { rssMb: number; connections: number; files: number }[] = [];
    const endAt = performance.now() + seconds * 1_000;
    for (let step = 1; performance.now() < endAt; step++) {
      await delay(2_000);
      const { rows } = await rig.pool.query(
        `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND application_name IN ('postbell web', 'postbell worker')`,
      );
      samples.push({ rssMb: rssMb(steady.pid), files: openFiles(steady.pid), connections: rows[0].count });
      if (step % 10 === 0) {
        const [oldWeb, oldWorker] = [web, worker];
        [web, worker] = await Promise.all([rig.web(), rig.worker()]);
        oldWeb.kill('SIGTERM');
        oldWorker.kill('SIGTERM');
      }
      if (step % 20 === 15) void holdSnapshot(rig.pool, 10_000);
    }
    await load.stop();
    const after = samples.slice(Math.floor(samples.length / 3));
    const [first, last] = [after[0]!, after.at(-1)!];
    context.note(
      `${seconds} s at ${perSecond} events a second instead of 1 h at 50; a restart every 20 s, a snapshot of 10 s every 40 s; of a worker that stays: memory ${Math.round(first.rssMb)} → ${Math.round(last.rssMb)} MB, open files ${first.files} → ${last.files}; connections at most ${Math.max(...samples.map(({ connections }) => connections))}`,
    );
    context.expect(
      last.rssMb - first.rssMb <= 50,
      `memory grew by ${Math.round(last.rssMb - first.rssMb)} MB`,
    );
    context.expect(last.files - first.files <= 10, `open files grew from ${first.files} to ${last.files}`);
    await context.balance(rig, { drainMs: 120_000, mayExceedAttemptsBy: 10 });
    const { rows } = await rig.pool.query(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND state_change < now() - interval '10 s'`,
    );
    context.expect(rows[0].count === 0, `${rows[0].count} sessions are idle in a transaction`);
  },
};

async function holdSnapshot(pool: pg.Pool, ms: number): Promise<void> {
  const client = await pool.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT 1 FROM webhook_events LIMIT 1');
  await delay(ms);
  await client.query('ROLLBACK');
  client.release();
}

const rssMb = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
const openFiles = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
