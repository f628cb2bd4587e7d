// F12, F13: attempts that go on although their job has gone to somebody else.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../../support/wait.ts';
import { startLoad } from '../load.ts';
import type { Fault } from './fault.ts';

export const overrunningHandlers: Fault = {
  id: 'F12',
  title: 'a handler that outlives its time-out, deaf to its signal, then returns',
  run: async (context) => {
    const rig = await context.rig({ env: { HANDLER_TIMEOUT_SECONDS: '2' } });
    const [, first] = await Promise.all([rig.web(), rig.worker(), rig.worker()]);
    const repeats = context.repeats(4, 20);
    const ids = Array.from({ length: repeats }, (_, index) => `evt_${index}`);
    const act = { do: 'wait-deaf-times', times: 1, ms: 8_000 };
    await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id, act })));
    for (const id of ids) await rig.waitForStatus(id, 'PROCESSED', 90_000);
    await waitFor(() => rig.attempts().every(({ endedAt }) => endedAt !== undefined), {
      what: 'the first attempts to return',
    });
    const log = first.output();
    context.expect(!/unhandledRejection|was rejected and no code/.test(log), 'a rejection went unhandled');
    await context.balance(rig, { mayOverlap: true });
  },
};

const isStopped = (pid: number) => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

export const frozenWorkers: Fault = {
  id: 'F13',
  title: 'workers frozen by SIGSTOP in the middle of an attempt, then woken',
  run: async (context) => {
    const repeats = context.repeats(2, 20);
    const frozenMs = context.isFull ? 30_000 : 15_000;
    const rig = await context.rig();
    await rig.web();
    const sites = ['worker.after-handler', 'worker.marked'];
    const load = startLoad(rig, { prefix: 'evt', perSecond: 25 });
    const zombies = await Promise.all(
      Array.from({ length: repeats }, (_, index) =>
        rig.worker({ POSTBELL_FAILPOINT: `${sites[index % 2]}:stop:1` }, { wait: false }),
      ),
    );
    for (const { pid } of zombies)
      await waitFor(() => isStopped(pid), { what: `worker ${pid} to freeze`, timeoutMs: 90_000 });
    await Promise.all([rig.worker(), rig.worker()]);
    await delay(frozenMs);
    for (const zombie of zombies) zombie.kill('SIGCONT');
    await delay(2_000);
    await load.stop();
    context.note(`frozen for ${frozenMs / 1_000} s, in the handler's transaction and before its COMMIT`);
    await context.balance(rig, { mayOverlap: true, mayExceedAttemptsBy: 5 });
  },
};
