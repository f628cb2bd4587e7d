// Postgres restarted, crashed, frozen and cut off under load: nothing lost, honest answers, and it heals by itself.
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { busyness } from '../support/busyness.ts';
import { isRunning } from '../support/processes.ts';
import { startCluster } from './cluster.ts';
import { dishonestAnswers, startLoad, timeRecovery } from './load.ts';
import { startProxy } from './proxy.ts';
import { openRig } from './rig.ts';
import { clock } from './sender.ts';

const ackLimitMs = 10_000;
const processedLimitMs = 20_000;
/** Twice RECEIVE_TIMEOUT_MS. */
const answerLimitMs = 6_000;

const cluster = await startCluster(t);
const proxy = await startProxy(t, cluster.url);
const rig = await openRig(t, { url: cluster.url, processUrl: proxy.url });
const processes = await Promise.all([rig.web(), rig.web(), rig.worker()]);

for (const [title, fault] of [
  ['a restart', () => cluster.restart('fast')],
  ['a crash', () => cluster.restart('immediate')],
  ['being frozen', () => frozenFor(5_000)],
  ['a black hole', () => cutOffFor(5_000)],
] as const) {
  t.test(`${title} of the database under load`, async (t) => {
    const prefix = title.replaceAll(' ', '_');
    const from = clock();
    const load = startLoad(rig, { prefix, perSecond: 40 });
    await delay(1_000);
    await fault();
    const { ackMs, processedMs } = await timeRecovery(rig, clock(), `after_${prefix}`);
    t.ok(ackMs <= ackLimitMs * busyness(), `accepts again after ${ackMs} ms`);
    t.ok(processedMs <= processedLimitMs * busyness(), `processes again after ${processedMs} ms`);
    await load.stop();
    const since = rig.sender.sent.filter(({ sentAt }) => sentAt >= from);
    t.same(dishonestAnswers(since, answerLimitMs * busyness()), []);
  });
}

t.test('no process has ended, and the books balance', async (t) => {
  t.ok(
    processes.every(({ pid }) => isRunning(pid)),
    'a lost connection ends nobody',
  );
  await rig.drain();
  t.same(await rig.check(), []);
});

async function frozenFor(ms: number): Promise<void> {
  cluster.freeze();
  await delay(ms);
  cluster.thaw();
}

async function cutOffFor(ms: number): Promise<void> {
  proxy.blackHole();
  await delay(ms);
  proxy.heal();
}
