// F38, F39, F43-F45, F48, F50: no room, no right to write, wrong clocks, wrong order, deaf logs, old backups.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atEnd } from '../../support/at-end.ts';
import { NotRun } from '../../support/impossibilities.ts';
import { isRunning } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';
import { startCluster } from '../cluster.ts';
import { startLoad, timeRecovery } from '../load.ts';
import { clock, isAck } from '../sender.ts';
import { createAppDatabase, grantLedger } from './app-role.ts';
import { ackLimitMs, processedLimitMs } from './database-faults.ts';
import type { Fault } from './fault.ts';

export const fullDisk: Fault = {
  id: 'F38',
  title: "the database's disk is full, then is not",
  run: async (context) => {
    context.repeats(1, 1);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'postbell-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=0777', 'tmpfs', folder], { stdio: 'pipe' });
    } catch (error) {
      throw new NotRun('F38', (error as Error).message.split('\n')[0]);
    }
    // Registered first, so done last.
    atEnd(context.t, () => {
      execFileSync('umount', ['-l', folder]);
      rmdirSync(folder);
    });
    const cluster = await startCluster(context.t, {
      folder, // which everybody may enter, Postgres' own user too
      settings: { max_wal_size: '48MB', min_wal_size: '32MB' },
    });
    const rig = await context.rig({ url: cluster.url });
    const processes = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
    await delay(1_000);
    // What lies in preallocated log files still fits, and a checkpoint that removes old ones makes room again.
    const fillUp = () => {
      execFileSync('sh', ['-c', 'cat /dev/zero >>ballast 2>/dev/null || true'], { cwd: folder });
      return rig.sender.sent.some(({ status }) => status === 503);
    };
    await waitFor(fillUp, { what: 'the full disk to be noticed', timeoutMs: 120_000, intervalMs: 500 });
    await delay(3_000);
    execFileSync('rm', ['-f', 'ballast'], { cwd: folder });
    await cluster.start(); // where it ended in a PANIC, the platform starts it again
    const { ackMs, processedMs } = await timeRecovery(rig, clock(), 'after');
    context.recovered(ackMs, ackLimitMs, 'the first 200 with room again');
    context.expect(processedMs <= processedLimitMs, `the first PROCESSED took ${processedMs} ms`);
    await load.stop();
    const odd = rig.sender.sent.filter(({ status }) => status !== 200 && status !== 503);
    context.expect(odd.length === 0, `${odd.length} deliveries were answered ${odd[0]?.status}`);
    context.note(`${rig.sender.sent.filter(({ status }) => status === 503).length} answers of 503`);
    context.expect(
      processes.every(({ pid }) => isRunning(pid)),
      'a process has ended',
    );
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};

export const readOnlyDatabase: Fault = {
  id: 'F39',
  title: 'a database that may only be read, and one over its plan: no INSERT',
  run: async (context) => {
    const database = await createAppDatabase(context);
    const rig = await context.rig({ url: database.url, processUrl: database.appUrl });
    await database.run(grantLedger);
    const [web, worker] = await Promise.all([rig.web(), rig.worker()]);
    const states: Record<string, [string, string]> = {
      'read only': [
        'ALTER ROLE app SET default_transaction_read_only = on',
        'ALTER ROLE app RESET default_transaction_read_only',
      ],
      'no INSERT and one connection': [
        'ALTER TABLE webhook_events OWNER TO postgres; REVOKE INSERT, UPDATE ON webhook_events FROM app; GRANT SELECT, DELETE ON webhook_events TO app; ALTER ROLE app CONNECTION LIMIT 1',
        'ALTER TABLE webhook_events OWNER TO app; GRANT ALL ON webhook_events TO app; ALTER ROLE app CONNECTION LIMIT -1',
      ],
    };
    context.repeats(2, 2);
    for (const [index, [title, [restrict, release]]] of Object.entries(states).entries()) {
      const load = startLoad(rig, { prefix: `evt_${index}`, perSecond: 20 });
      await delay(1_000);
      await database.run(restrict);
      await database.terminate();
      await delay(1_500);
      const from = rig.sender.sent.length;
      await delay(3_000);
      const answers = new Set(rig.sender.sent.slice(from).map(({ status }) => status));
      context.expect(answers.size === 1 && answers.has(503), `${title}: answered ${[...answers].join(', ')}`);
      context.expect((await fetch(`${web.url}/healthz`)).status === 200, `${title}: /healthz is not 200`);
      // Its answer is kept for 2 s.
      const ready = (await fetch(`${web.url}/readyz`)).status;
      context.expect(ready === 503, `${title}: /readyz is ${ready}`);
      await database.run(release);
      await database.terminate();
      const { ackMs } = await timeRecovery(rig, clock(), `after_${index}`);
      context.recovered(ackMs, ackLimitMs, `${title}: the first 200`);
      await load.stop();
    }
    context.expect(isRunning(web.pid) && isRunning(worker.pid), 'a process has ended');
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};

const fakeTime = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
];

export const wrongClocks: Fault = {
  id: 'F43',
  title: 'clocks that are wrong: web by 10 min, a worker by an hour, and in 2038',
  run: async (context) => {
    context.repeats(1, 1);
    const library = fakeTime.find((file) => existsSync(file));
    if (!library) throw new NotRun('F43');
    const faked = (offset: string) => ({
      LD_PRELOAD: library,
      FAKETIME: offset,
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    });
    const rig = await context.rig();
    for (const offset of ['+10m', '-10m']) {
      const web = await rig.web(faked(offset));
      const sender = rig.newSender({ urls: () => [web.url] });
      const { status } = await sender.deliver({ id: `evt_web${offset}` });
      context.expect(status === 401, `web ${offset}: a delivery of now was answered ${status}`);
      const reason = async () => {
        const { rows } = await rig.pool.query('DELETE FROM rejected_requests RETURNING reason');
        return rows[0]?.reason;
      };
      const why = await waitFor(reason, { what: 'the reason' });
      context.expect(
        why === (offset === '+10m' ? 'too_old' : 'too_new'),
        `web ${offset}: the reason is ${why}`,
      );
      web.kill('SIGTERM');
      await web.exited;
    }
    await rig.web();
    for (const offset of ['+1h', '-1h', '@2038-01-19 03:14:00']) {
      const worker = await rig.worker(faked(offset));
      const name = offset.replaceAll(/\W/g, '_');
      await rig.sender.deliverUntilAcked({ id: `evt${name}`, act: { do: 'throw-times', times: 2 } });
      await rig.waitForStatus(`evt${name}`, 'PROCESSED', 30_000);
      worker.kill('SIGTERM');
      await worker.exited;
    }
    await rig.worker();
    context.note(
      'web: 401, too old and too new; worker +1 h, -1 h and over 19 January 2038: retries on time; the database: not run, its clock is the machine’s',
    );
    await context.balance(rig, { mayOverlap: true }); // the journal is written by the wrong clocks
  },
};

export const lateDatabase: Fault = {
  id: 'F44',
  title: 'web and worker start before the database',
  run: async (context) => {
    const cluster = await startCluster(context.t);
    const rig = await context.rig({ url: cluster.url });
    const repeats = context.repeats(1, 3);
    for (let round = 0; round < repeats; round++) {
      await cluster.stop('fast');
      const [web, worker] = await Promise.all([
        rig.web({}, { wait: false }),
        rig.worker({}, { wait: false }),
      ]);
      const early = await rig.sender.deliver({ id: `early_${round}` });
      context.expect(early.status === 503, `answered ${early.status} without a database`);
      await delay(context.isFull ? 20_000 : 5_000);
      await cluster.start();
      const { ackMs, processedMs } = await timeRecovery(rig, clock(), `late_${round}`);
      context.recovered(ackMs, ackLimitMs, 'the first 200 after the database came');
      context.expect(processedMs <= processedLimitMs, `the first PROCESSED took ${processedMs} ms`);
      await rig.sender.deliverUntilAcked({ id: `early_${round}` });
      for (const process of [web, worker]) process.kill('SIGTERM');
      await Promise.all([web.exited, worker.exited]);
    }
    await rig.worker();
    await context.balance(rig);
  },
};

export const missingSupervisor: Fault = {
  id: 'F45',
  title: 'only web processes run for a while',
  run: async (context) => {
    context.repeats(1, 1);
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.web()]);
    const ids = Array.from({ length: 200 }, (_, index) => `evt_${index}`);
    for (let from = 0; from < ids.length; from += 100)
      await Promise.all(ids.slice(from, from + 100).map((id) => rig.sender.deliverUntilAcked({ id })));
    await delay(3_000);
    const { rowCount } = await rig.pool.query(`SELECT FROM webhook_events WHERE status = 'PENDING'`);
    context.expect(rowCount === ids.length, `${rowCount} of ${ids.length} wait`);
    await rig.worker();
    context.note('every worker supervises, and it cannot be turned off: there is no configuration to refuse');
    await context.balance(rig);
  },
};

export const deafLog: Fault = {
  id: 'F48',
  title: 'nobody reads the log any more',
  run: async (context) => {
    context.repeats(1, 1);
    const rig = await context.rig();
    const [web, worker] = await Promise.all([rig.web(), rig.worker()]);
    web.pauseOutput(true);
    worker.pauseOutput(true);
    const from = rig.sender.sent.length;
    const load = startLoad(rig, { prefix: 'evt', perSecond: 200 });
    await delay(context.isFull ? 30_000 : 8_000); // some megabytes of log: a pipe holds 64 KB
    await load.stop();
    const answers = rig.sender.sent.slice(from);
    const slowest = Math.max(...answers.map(({ sentAt, repliedAt }) => repliedAt - sentAt));
    context.expect(
      answers.every(isAck),
      `${answers.filter((sent) => !isAck(sent)).length} were not answered 200`,
    );
    context.expect(slowest < 3_000, `the slowest answer took ${Math.round(slowest)} ms`);
    context.note(`slowest answer ${Math.round(slowest)} ms`);
    await rig.drain();
    // They have much to say, nobody to say it to, and have to end all the same.
    const stoppedAt = clock();
    const exits = [web, worker].map(async (process) => {
      process.kill('SIGTERM');
      const hardEnd = setTimeout(() => process.kill('SIGKILL'), 25_000);
      await process.exited;
      clearTimeout(hardEnd);
      return clock() - stoppedAt;
    });
    const [webMs = 0, workerMs = 0] = await Promise.all(exits);
    context.expect(Math.max(webMs, workerMs) <= 20_000, 'SIGTERM: it cannot end while its log is not read');
    context.note(
      `SIGTERM to exit, still unread: web ${Math.round(webMs)} ms, worker ${Math.round(workerMs)} ms`,
    );
    await context.balance(rig);
  },
};
