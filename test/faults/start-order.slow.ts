// Web and worker start before Postgres does: they wait, say so, and heal by themselves (F44).

import t from 'tap';
import { busyness } from '../support/busyness.ts';
import { waitFor } from '../support/wait.ts';
import { startCluster } from './cluster.ts';
import { timeRecovery } from './load.ts';
import { openRig } from './rig.ts';
import { clock } from './sender.ts';

t.test('web answers 503 and worker waits until the database is there', async (t) => {
  const cluster = await startCluster(t);
  const rig = await openRig(t, { url: cluster.url });
  await cluster.stop('fast');
  const [web, worker] = await Promise.all([rig.web({}, { wait: false }), rig.worker({}, { wait: false })]);
  const early = await rig.sender.deliver({ id: 'evt_early' });
  t.equal(early.status, 503);
  t.equal(early.retryAfter, '5');
  t.equal((await fetch(`${web.url}/healthz`)).status, 200, 'a restart by the platform would not help');
  t.equal((await fetch(`${web.url}/readyz`)).status, 503);
  // Long enough for the pauses between their tries to have grown.
  await waitFor(() => worker.logs.filter(({ msg }) => msg?.includes('cannot be reached')).length >= 6, {
    what: 'the worker to have tried six times',
  });

  await cluster.start();
  const { ackMs, processedMs } = await timeRecovery(rig, clock(), 'evt_late');
  t.ok(ackMs <= 10_000 * busyness(), `the first 200 after ${ackMs} ms`);
  t.ok(processedMs <= 20_000 * busyness(), `the first PROCESSED after ${processedMs} ms`);
  t.equal((await rig.sender.deliver({ id: 'evt_early' })).status, 200, "the provider's retry is accepted");
  await rig.drain();
  t.same(await rig.check(), []);
});
