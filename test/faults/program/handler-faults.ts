// F9, F36, F37: handlers that fail, handlers that do what they should not, errors that are hard to keep.
import { isRunning } from '../../support/processes.ts';
import { badErrors, harmless, misuses } from '../misuse.ts';
import type { Fault } from './fault.ts';

/** With RETRY_DELAY_SECONDS 1: the back-off's bounds, in seconds, before attempts 2 to 5. */
const pauses: readonly [number, number][] = [
  [1, 2],
  [2, 4],
  [4, 8],
  [8, 16],
];
/** Poll, and a slow machine. */
const lateSeconds = 6;

export const failingHandler: Fault = {
  id: 'F9',
  title: 'a handler that always throws: five starts, back-off, one dead letter',
  run: async (context) => {
    const rig = await context.rig({ env: { RETRY_DELAY_MAX_SECONDS: '60' } });
    const repeats = context.repeats(3, 20);
    await Promise.all([rig.web(), rig.worker()]);
    const ids = Array.from({ length: repeats }, (_, index) => `evt_${index}`);
    await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id, act: { do: 'throw' } })));
    for (const id of ids) {
      await rig.waitForStatus(id, 'FAILED', 90_000);
      const starts = rig.attempts().filter(({ eventId }) => eventId === id);
      context.expect(starts.length === 5, `${id} was started ${starts.length} times`);
      for (const [index, [least, most]] of pauses.entries()) {
        const pause = (starts[index + 1]!.startedAt - starts[index]!.endedAt!) / 1_000;
        context.expect(
          pause >= least - 0.1 && pause <= most + lateSeconds,
          `pause ${index + 1} was ${pause.toFixed(1)} s, not ${least} to ${most} s`,
        );
      }
    }
    const { rows } = await rig.pool.query(
      `SELECT count(*)::int AS count FROM dead_letters WHERE last_error = 'Error: the handler wanted to fail'`,
    );
    context.expect(rows[0].count === repeats, `${rows[0].count} dead letters say why`);
    await context.balance(rig);
  },
};

export const misusedTransaction: Fault = {
  id: 'F36',
  title: `${Object.keys(misuses).length} kinds of handlers that misuse their transaction`,
  run: async (context) => {
    const rig = await context.rig();
    const [, worker] = await Promise.all([rig.web(), rig.worker()]);
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      const ids = Object.keys(misuses).map((kind) => [kind, `${kind}_${round}`] as const);
      await Promise.all(ids.map(([kind, id]) => rig.sender.deliverUntilAcked({ id, act: { do: kind } })));
      for (const [kind, id] of ids) {
        const wanted = harmless.has(kind) ? 'PROCESSED' : 'FAILED';
        await rig.waitForStatus(id, wanted, 45_000);
      }
    }
    context.expect(isRunning(worker.pid), 'the worker has ended');
    await context.balance(rig);
  },
};

export const badErrorTexts: Fault = {
  id: 'F37',
  title: `${Object.keys(badErrors).length} kinds of errors that are hard to keep`,
  run: async (context) => {
    const rig = await context.rig({ env: { MAX_ATTEMPTS: '2' } });
    const [, worker] = await Promise.all([rig.web(), rig.worker()]);
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      const kinds = Object.keys(badErrors);
      await Promise.all(
        kinds.map((kind) => rig.sender.deliverUntilAcked({ id: `${kind}_${round}`, act: { do: kind } })),
      );
      for (const kind of kinds) await rig.waitForStatus(`${kind}_${round}`, 'FAILED', 30_000);
    }
    const { rows } = await rig.pool.query<{ event_id: string; length: number; at: string }>(
      `SELECT event_id, length(error) AS length, extract(epoch FROM failed_at) * 1000 AS at FROM failed_attempts ORDER BY id`,
    );
    for (const { event_id, length, at } of rows) {
      context.expect(length <= 2_000, `${event_id}: ${length} characters were kept`);
      const ends = rig.attempts().filter(({ eventId }) => eventId === event_id);
      const soonest = Math.min(...ends.map(({ endedAt }) => Math.abs(Number(at) - endedAt!)));
      context.expect(soonest <= 5_000, `${event_id}: recorded ${Math.round(soonest)} ms after the throw`);
    }
    context.expect(isRunning(worker.pid), 'the worker has ended');
    await context.balance(rig, { maxAttempts: 2 });
  },
};
