// F21, F22, F46: the network between the processes and Postgres.
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../support/database.ts';
import { isRunning } from '../../support/processes.ts';
import { dishonestAnswers, startLoad, timeRecovery } from '../load.ts';
import { startProxy, type Proxy as TcpProxy } from '../proxy.ts';
import { clock, isAck } from '../sender.ts';
import { ackLimitMs, answerLimitMs, processedLimitMs } from './database-faults.ts';
import type { Fault } from './fault.ts';

const cuts: Record<string, (proxy: TcpProxy) => Promise<void> | void> = {
  'connections reset': (proxy) => proxy.cut('reset'),
  'connections closed': (proxy) => proxy.cut('end'),
  'black hole of 5 s': (proxy) => hole(proxy, 5_000),
  'black hole of 5 s, after which the old connections go on': (proxy) => hole(proxy, 5_000, { revive: true }),
};
const longCuts: typeof cuts = {
  'black hole of 30 s': (proxy) => hole(proxy, 30_000),
  'black hole of 120 s': (proxy) => hole(proxy, 120_000),
};

async function hole(proxy: TcpProxy, ms: number, options = {}): Promise<void> {
  proxy.blackHole();
  await delay(ms);
  proxy.heal(options);
}

export const networkCuts: Fault = {
  id: 'F21',
  title: 'the way to the database cut: reset, closed, black hole',
  isLong: true,
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const proxy = await startProxy(context.t, url);
    const rig = await context.rig({ url, processUrl: proxy.url });
    const processes = await Promise.all([rig.web(), rig.worker()]);
    const all = Object.entries({ ...cuts, ...(context.isFull ? longCuts : {}) });
    context.repeats(all.length, all.length);
    for (const [index, [title, cut]] of all.entries()) {
      const load = startLoad(rig, { prefix: `evt_${index}`, perSecond: 40 });
      await delay(1_000);
      const from = rig.sender.sent.length;
      await cut(proxy);
      const { ackMs, processedMs } = await timeRecovery(rig, clock(), `after_${index}`);
      context.recovered(ackMs, ackLimitMs, `${title}: the first 200`);
      context.expect(processedMs <= processedLimitMs, `${title}: the first PROCESSED took ${processedMs} ms`);
      await load.stop();
      for (const { detail } of dishonestAnswers(rig.sender.sent.slice(from), answerLimitMs).slice(0, 3))
        context.expect(false, `${title}: A10 ${detail}`);
    }
    context.note(all.map(([title]) => title).join(', '));
    context.expect(
      processes.every(({ pid }) => isRunning(pid)),
      'a process has ended',
    );
    await context.balance(rig, { mayExceedAttemptsBy: 20 });
  },
};

export const slowDatabase: Fault = {
  id: 'F22',
  title: 'a database 200 ms away',
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const proxy = await startProxy(context.t, url);
    const rig = await context.rig({ url, processUrl: proxy.url });
    await Promise.all([rig.web(), rig.worker({ WORKER_CONCURRENCY: '20' })]);
    proxy.delayBy(100); // each way
    const load = startLoad(rig, { prefix: 'evt', perSecond: 20 });
    await delay(context.isFull ? 60_000 : 8_000);
    await load.stop();
    const times = rig.sender.sent.filter(isAck).map(({ sentAt, repliedAt }) => repliedAt - sentAt);
    const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
    context.expect(p99 < 3_000, `ack p99 is ${Math.round(p99)} ms`);
    context.note(
      `ack p99 ${Math.round(p99)} ms; the plan's 2% of lost packets not run: netem would hit the whole machine`,
    );
    await context.balance(rig, { drainMs: 300_000 });
  },
};

export const silentListener: Fault = {
  id: 'F46',
  title: 'the connection that LISTENs dies without a sign',
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const proxy = await startProxy(context.t, url);
    const rig = await context.rig({ url, processUrl: proxy.url });
    await Promise.all([rig.web({ DATABASE_URL: url }), rig.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt_before' });
    await rig.waitForStatus('evt_before', 'PROCESSED');
    const repeats = context.repeats(5, 20);
    context.expect(proxy.loseListeners() === 1, 'nobody was listening');
    let longestMs = 0;
    for (let index = 0; index < repeats; index++) {
      const { repliedAt } = await rig.sender.deliverUntilAcked({ id: `evt_${index}` });
      await rig.waitForStatus(`evt_${index}`, 'PROCESSED');
      longestMs = Math.max(longestMs, clock() - repliedAt);
      await delay(300 * context.random());
    }
    // POLL_SECONDS 1, and a slow machine.
    context.expect(longestMs <= 3_000, `an event waited ${Math.round(longestMs)} ms`);
    context.note(`longest wait ${Math.round(longestMs)} ms at a poll interval of 1 s`);
    await context.balance(rig);
  },
};
