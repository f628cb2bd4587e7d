// F3: web and workers killed at random moments under load, restarted as a platform does.
import { setTimeout as delay } from 'node:timers/promises';
import type { TestProcess } from '../../support/processes.ts';
import { startLoad } from '../load.ts';
import type { Fault } from './fault.ts';
import { type Supervisor, supervise } from './supervise.ts';

export const randomKills: Fault = {
  id: 'F3',
  title: 'kill -9 of web and workers at random moments under load',
  isAlone: true,
  run: async (context) => {
    const killsPerKind = context.repeats(8, 300);
    const rig = await context.rig();
    const [webs, workers] = await Promise.all([
      supervise(3, () => rig.web()),
      supervise(4, () => rig.worker()),
    ]);
    const load = startLoad(rig, {
      prefix: 'evt',
      perSecond: context.isFull ? 200 : 50,
      order: (index) => (index % 50 === 0 ? { act: { do: 'throw-times', times: 1 } } : {}),
    });
    const pauseMs = context.isFull ? 600 : 1_000;
    for (let kill = 0; kill < killsPerKind; kill++) {
      for (const kind of [webs, workers] as Supervisor<TestProcess>[]) {
        await delay(pauseMs * (0.5 + context.random()));
        const candidates = await waitForRunning(kind);
        candidates[Math.floor(context.random() * candidates.length)]!.kill('SIGKILL');
      }
    }
    await load.stop();
    await Promise.all([webs.stop(), workers.stop()]);
    await Promise.all([rig.web(), rig.worker()]);
    // Not Math.max(...): these are more than a call takes arguments.
    const slowest = rig.sender.sent.reduce(
      (most, { sentAt, repliedAt }) => Math.max(most, repliedAt - sentAt),
      0,
    );
    context.note(
      `${2 * killsPerKind} kills (${killsPerKind} of each); slowest answer ${Math.round(slowest)} ms; slowest restart ${webs.longestRestartMs()} ms`,
    );
    if (context.isFull) context.note('300 kills of a kind without a violation bound its rate below 1% (95%)');
    await context.balance(rig, { drainMs: 120_000, mayExceedAttemptsBy: 100 });
  },
};

async function waitForRunning<P extends TestProcess>(kind: Supervisor<P>): Promise<P[]> {
  for (;;) {
    const running = kind.running();
    if (running.length) return running;
    await delay(50);
  }
}
