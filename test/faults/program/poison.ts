// F10, F11: events that take their process with them, and one that blocks its event loop.
import { waitFor } from '../../support/wait.ts';
import { clock } from '../sender.ts';
import type { Fault } from './fault.ts';
import { supervise } from './supervise.ts';

const poisons = {
  signal: { do: 'kill' },
  exit: { do: 'exit' },
  abort: { do: 'abort' },
  'out of memory': { do: 'out-of-memory' },
  'uncaught exception': { do: 'throw-outside' },
};
const innocents = 99;

export const poisonEvents: Fault = {
  id: 'F10',
  title: `an event that kills its process among ${innocents} good ones`,
  run: async (context) => {
    const kinds = Object.entries(poisons);
    context.repeats(kinds.length, kinds.length);
    await Promise.all(
      kinds.map(async ([kind, act]) => {
        const rig = await context.rig();
        await rig.web();
        const orders = Array.from({ length: innocents + 1 }, (_, index) =>
          index === 50 ? { id: `poison_${kind}`, act } : { id: `good_${index}`, act: { do: 'wait', ms: 50 } },
        );
        await Promise.all(orders.map((order) => rig.sender.deliverUntilAcked(order)));
        const limits = { NODE_OPTIONS: '--max-old-space-size=96', SHUTDOWN_TIMEOUT_SECONDS: '5' };
        const workers = await supervise(1, () => rig.worker(limits));
        const startedAt = clock();
        await rig.waitForStatus(`poison_${kind}`, 'FAILED', 240_000);
        await rig.drain(120_000);
        await workers.stop();
        const { rows } = await rig.pool.query(
          `SELECT count(*)::int AS count FROM webhook_events WHERE event_id LIKE 'good%' AND status = 'PROCESSED'`,
        );
        context.expect(
          rows[0].count === innocents,
          `${kind}: ${rows[0].count} of ${innocents} good events are PROCESSED`,
        );
        const starts = rig.attempts().filter(({ eventId }) => eventId === `poison_${kind}`).length;
        context.expect(starts <= 5, `${kind}: the poison was started ${starts} times`);
        context.note(
          `${kind}: FAILED after ${starts} starts and ${Math.round((clock() - startedAt) / 1_000)} s, ${workers.ends.length} processes ended`,
        );
        await context.balance(rig);
      }),
    );
  },
};

/** WATCHDOG_SECONDS as shipped, and a slow machine. */
const watchdogLimitMs = 40_000;

export const blockedEventLoop: Fault = {
  id: 'F11',
  title: 'a handler that never gives the event loop back',
  run: async (context) => {
    context.repeats(1, 1);
    const rig = await context.rig({ env: { MAX_ATTEMPTS: '2' } });
    await rig.web();
    const victim = await rig.worker();
    await rig.sender.deliverUntilAcked({ id: 'evt_spin', act: { do: 'spin', ms: 3_600_000 } });
    await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
    const blockedAt = clock();
    const others = await supervise(1, () => rig.worker());
    const plain = Array.from({ length: 20 }, (_, index) => ({ id: `evt_${index}` }));
    await Promise.all(plain.map((order) => rig.sender.deliverUntilAcked(order)));
    const timer = setTimeout(() => victim.kill('SIGKILL'), watchdogLimitMs);
    await victim.exited;
    clearTimeout(timer);
    const ms = clock() - blockedAt;
    context.expect(ms < watchdogLimitMs, 'nobody ended the blocked process');
    context.note(`with the settings as shipped its process was ended after ${(ms / 1_000).toFixed(1)} s`);
    for (const { id } of plain) await rig.waitForStatus(id, 'PROCESSED', 180_000);
    await rig.waitForStatus('evt_spin', 'FAILED', 240_000);
    await others.stop();
    await context.balance(rig, { maxAttempts: 2 });
  },
};
