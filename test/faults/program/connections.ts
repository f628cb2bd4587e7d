// F14, F15, F40: few connections, none left, and a password that changes.
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, runProcess } from '../../support/processes.ts';
import { dishonestAnswers, startLoad, timeRecovery } from '../load.ts';
import { testProfile } from '../rig.ts';
import { clock, isAck } from '../sender.ts';
import { createAppDatabase, grantLedger } from './app-role.ts';
import { ackLimitMs, answerLimitMs } from './database-faults.ts';
import type { Fault } from './fault.ts';

/** Postgres' words, not its code 53300: five digits stand in the time of many a log line. */
const refused = /too many (clients|connections)|connection slots are reserved/;

export const connectionBudget: Fault = {
  id: 'F14',
  title: 'a database of 20 connections during a deploy; then 8',
  run: async (context) => {
    const database = await createAppDatabase(context);
    await database.run('ALTER ROLE app CONNECTION LIMIT 20');
    const rig = await context.rig({ url: database.url, processUrl: database.appUrl });
    await database.run(grantLedger);
    const old = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 100 });
    const young = await Promise.all([rig.web(), rig.worker()]);
    const migrated = await runProcess(['migrate'], {
      env: { ...testProfile, DATABASE_URL: database.appUrl },
    });
    context.expect(migrated.code === 0, `migrate ended with ${migrated.code}`);
    await delay(context.isFull ? 15_000 : 3_000);
    const { rows } = await database.run(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = 'app'`,
    );
    context.note(`old and new processes and migrate: ${rows[0].count} connections of 20`);
    const processes = [...old, ...young];
    for (const process of processes) {
      const line = process
        .output()
        .split('\n')
        .find((text) => refused.test(text));
      context.expect(line === undefined, `a connection was refused within the budget: ${line}`);
    }

    await database.run('ALTER ROLE app CONNECTION LIMIT 8');
    await database.terminate();
    await delay(context.isFull ? 15_000 : 5_000);
    context.expect(
      processes.every(({ pid }) => isRunning(pid)),
      'a process ended for want of connections',
    );
    await database.run('ALTER ROLE app CONNECTION LIMIT 20');
    const { ackMs } = await timeRecovery(rig, clock(), 'after');
    context.recovered(ackMs, ackLimitMs, 'the first 200 with the old limit');
    await load.stop();
    for (const { detail } of dishonestAnswers(rig.sender.sent, answerLimitMs).slice(0, 3))
      context.expect(false, `A10 ${detail}`);
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};

export const exhaustedPool: Fault = {
  id: 'F15',
  title: 'one connection for web, every slot of a worker taken, and none to be had',
  run: async (context) => {
    const rig = await context.rig();
    const [web, worker] = await Promise.all([
      rig.web({ WEB_CONNECTIONS: '1' }),
      rig.worker({ WORKER_CONCURRENCY: '3' }),
    ]);
    // Longer than the heartbeat: it must get through although every handler holds a connection.
    const busy = ['a', 'b', 'c'].map((letter) => ({ id: `busy_${letter}`, act: { do: 'wait', ms: 14_000 } }));
    await Promise.all(busy.map((order) => rig.sender.deliverUntilAcked(order)));
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      const deliver = (from: string) =>
        Promise.all(
          Array.from({ length: 100 }, (_, index) => rig.sender.deliver({ id: `${from}_${round}_${index}` })),
        );
      const free = await deliver('free');
      context.expect(free.every(isAck), 'a single connection is not enough for 100 deliveries');
      const client = await rig.pool.connect();
      await client.query('BEGIN; LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
      const held = await deliver('held');
      await client.query('ROLLBACK');
      client.release();
      for (const { detail } of dishonestAnswers(held, answerLimitMs).slice(0, 3))
        context.expect(false, `A10 ${detail}`);
      context.expect(
        held.every(({ status }) => status === 503),
        'an answer of 200 without a commit',
      );
      await Promise.all(held.map(({ eventId }) => rig.sender.deliverUntilAcked({ id: eventId })));
    }
    for (const { id } of busy) await rig.waitForStatus(id, 'PROCESSED');
    // Not by the starts: a handler that ends while the table is locked runs again.
    context.expect(
      !worker.logs.some(({ msg }) => msg?.startsWith('a job was lost with its worker')),
      'a busy worker lost its jobs: its heartbeat did not get through',
    );
    context.expect(isRunning(web.pid), 'web has ended');
    await context.balance(rig);
  },
};

export const rotatedPassword: Fault = {
  id: 'F40',
  title: 'the database password changes under running processes, and comes back',
  run: async (context) => {
    const database = await createAppDatabase(context);
    const rig = await context.rig({ url: database.url, processUrl: database.appUrl });
    await database.run(grantLedger);
    const processes = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 50 });
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      await delay(1_000);
      await database.run(`ALTER ROLE app PASSWORD 'rotated'`);
      await database.terminate();
      await delay(5_000);
      await database.run(`ALTER ROLE app PASSWORD 'app'`);
      const { ackMs } = await timeRecovery(rig, clock(), `after_${round}`);
      context.recovered(ackMs, ackLimitMs, 'the first 200 after the password was back');
    }
    await load.stop();
    context.expect(
      processes.every(({ pid }) => isRunning(pid)),
      'a process has ended: it would have to be restarted by hand where the platform does not',
    );
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};
