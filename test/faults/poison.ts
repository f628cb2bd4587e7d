// Plays a poison event: one that ends every worker that runs it, among good ones, with workers restarted as platforms do.
import { waitFor } from '../support/wait.ts';
import type { Rig } from './rig.ts';

export interface Poison {
  /** What its handler does, see handlers.ts. */
  act: string;
  topic?: string;
  /** Good events that come with it. */
  good: number;
  workerEnv?: Record<string, string>;
  /** Further settings of its handler, e.g. how long it takes. */
  ms?: number;
}

/** Delivers both, then starts a worker each time one ended, until all is settled. @returns what these last said, too */
export async function playPoison(
  rig: Rig,
  poison: Poison,
): Promise<{ poisonId: string; deaths: number; lastWords: string[] }> {
  const { act, topic = 'ledger.event', good, workerEnv = {}, ms } = poison;
  const poisonId = `evt_poison_${act}`;
  // The first worker gives the queue its policy; all events are to be there before the next.
  const first = await rig.worker();
  first.kill('SIGTERM');
  await first.exited;
  await rig.web();
  const goodIds = Array.from({ length: good }, (_, index) => `evt_good_${act}_${index}`);
  const middle = good >> 1;
  const orders = goodIds.map((id) => ({ id, topic, act: {} }));
  orders.splice(middle, 0, { id: poisonId, topic, act: { do: act, ...(ms === undefined ? {} : { ms }) } });
  for (const order of orders) await rig.sender.deliverUntilAcked(order);

  const lastWords: string[] = [];
  let isOver = false;
  const restarting = (async () => {
    while (!isOver) {
      const worker = await rig.worker(workerEnv, { wait: false });
      const ended = await Promise.race([
        worker.exited.then(() => true),
        waitFor(() => isOver, { what: 'the end', timeoutMs: 600_000 }).then(() => false),
      ]);
      if (!ended) {
        // Its end may be under way: the failure is recorded before.
        if (worker.output().includes('an exception was not caught')) await worker.exited;
        return;
      }
      lastWords.push(worker.output().trimEnd().split('\n').at(-1) ?? '');
      await rig.settleSessions('postbell worker');
      await endHeartbeats(rig);
    }
  })();
  try {
    await rig.waitForStatus(poisonId, 'FAILED', 70_000);
    await rig.drain(60_000);
  } finally {
    isOver = true;
    await restarting;
  }
  return { poisonId, deaths: lastWords.length, lastWords };
}

/** What a dead worker held is found lost at once, not after HEARTBEAT_SECONDS. */
export async function endHeartbeats({ pool }: Rig): Promise<void> {
  await pool.query(`UPDATE pgboss.job SET heartbeat_on = now() - interval '1 day' WHERE state = 'active'`);
}
