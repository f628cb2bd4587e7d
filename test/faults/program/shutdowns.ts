// F16-F19: SIGTERM and SIGINT, as at every deploy, with work in hand and with the database out of reach.
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../support/database.ts';
import type { TestProcess } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';
import { startProxy } from '../proxy.ts';
import type { Rig } from '../rig.ts';
import { clock } from '../sender.ts';
import type { Fault, FaultContext } from './fault.ts';

const webLimitMs = 10_000;
const workerLimitMs = 20_000;

export const stoppedWeb: Fault = {
  id: 'F16',
  title: 'SIGTERM (twice) to web with 50 keep-alive connections at work',
  run: async (context) => {
    const stops = context.repeats(2, 20);
    const rig = await context.rig();
    await rig.worker();
    for (let stop = 0; stop < stops; stop++) {
      const web = await rig.web({ POSTBELL_FAILPOINT: 'web.after-insert:delay 100' });
      const before = rig.sender.sent.length;
      let isOver = false;
      const clients = Array.from({ length: 50 }, async (_, client) => {
        for (let index = 0; !isOver; index++) {
          const { status } = await rig.sender.deliver({ id: `evt_${stop}_${client}_${index}` });
          if (status === 'reset') return;
        }
      });
      await waitFor(() => rig.sender.sent.length > before + 200, { what: 'the load to run' });
      const ms = await timeExit(web, 'SIGTERM', () => web.kill('SIGTERM'));
      context.recovered(ms, webLimitMs, 'SIGTERM to the exit of web');
      isOver = true;
      await Promise.all(clients);
      context.expect((await web.exited).code === 0, `web exited with ${(await web.exited).code}`);
    }
    const { sent } = rig.sender;
    const others = sent.filter(({ status }) => status !== 200 && status !== 'reset');
    context.expect(others.length === 0, `${others.length} were told ${others[0]?.status}`);
    const resets = sent.filter(({ status }) => status === 'reset').map(({ eventId }) => eventId);
    const { rowCount } = await rig.pool.query('SELECT FROM webhook_events WHERE event_id = ANY ($1)', [
      resets,
    ]);
    context.expect(rowCount === 0, `${rowCount} were stored and then reset instead of answered`);
    context.note(`recovery: SIGTERM to exit; ${resets.length} connections were closed before they were used`);
    await context.balance(rig);
  },
};

export const stoppedWorker: Fault = {
  id: 'F17',
  title: 'SIGTERM to workers: handlers of 3 s, of 60 s, and deaf ones; six deploys in a row',
  run: async (context) => {
    const stops = context.repeats(2, 20);
    const rig = await context.rig({ env: { WORKER_CONCURRENCY: '3', MAX_ATTEMPTS: '1' } });
    await rig.web();
    const workers = await Promise.all(Array.from({ length: stops }, () => rig.worker()));
    const fill = async (kind: string, act: Record<string, unknown>) => {
      const ids = Array.from({ length: stops }, (_, index) => `${kind}_${index}`);
      const before = rig.attempts().length;
      await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id, act })));
      const haveStarted = () => rig.attempts().length >= before + stops;
      await waitFor(haveStarted, { what: `the ${kind} handlers to start`, timeoutMs: 60_000 });
    };
    await fill('long', wait('wait'));
    await fill('deaf', wait('wait-deaf'));
    await fill('short', { do: 'wait', ms: 3_000 });
    const times = await Promise.all(workers.map((worker) => timeExit(worker, 'SIGTERM')));
    for (const ms of times) context.recovered(ms, workerLimitMs, 'SIGTERM to the exit of a worker');
    context.note('recovery: SIGTERM to exit, with the settings as shipped');
    const { rows } = await rig.pool.query(
      `SELECT count(*)::int AS count FROM webhook_events WHERE attempts > 0 AND event_id NOT LIKE 'short%'`,
    );
    context.expect(rows[0].count === 0, `${rows[0].count} interrupted attempts were charged`);
    await deploySixTimes(context, rig);
    await rig.pool.query('INSERT INTO allowed SELECT event_id FROM webhook_events');
    await Promise.all([rig.worker(), rig.worker()]);
    await context.balance(rig, { maxAttempts: 1, mayExceedAttemptsBy: 10, mayOverlap: true });
  },
};

const wait = (kind: string) => ({ do: `${kind}-until-allowed`, ms: 120_000 });

/** A single allowed attempt must not be used up by any number of deploys. */
async function deploySixTimes(context: FaultContext, rig: Rig): Promise<void> {
  await rig.sender.deliverUntilAcked({ id: 'deployed', act: wait('wait') });
  await rig.pool.query(
    `INSERT INTO allowed SELECT event_id FROM webhook_events WHERE event_id <> 'deployed'`,
  );
  const starts = () => rig.attempts().filter(({ eventId }) => eventId === 'deployed').length;
  for (let deploy = 1; deploy <= 6; deploy++) {
    const worker = await rig.worker({ SHUTDOWN_TIMEOUT_SECONDS: '5' });
    await waitFor(() => starts() === deploy, { what: `start ${deploy} of the handler` });
    await timeExit(worker, 'SIGTERM');
  }
  context.expect(
    (await rig.status('deployed')) === 'PENDING',
    'six deploys made a healthy event a dead letter',
  );
  await rig.pool.query('TRUNCATE allowed');
}

export const platformKills: Fault = {
  id: 'F18',
  title: 'the kills of Fly (SIGINT, 5 s), Heroku (SIGTERM, 30 s) and Render (SIGTERM, 300 s)',
  run: async (context) => {
    const rig = await context.rig();
    await rig.web();
    const platforms = [
      { name: 'Fly', signal: 'SIGINT', killMs: 5_000, isGoneBefore: false },
      { name: 'Heroku', signal: 'SIGTERM', killMs: 30_000, isGoneBefore: true },
      { name: 'Render', signal: 'SIGTERM', killMs: 300_000, isGoneBefore: true },
    ] as const;
    context.repeats(platforms.length, platforms.length);
    for (const { name } of platforms)
      await rig.sender.deliverUntilAcked({ id: name, act: wait('wait-deaf') });
    await Promise.all(
      platforms.map(async ({ name, signal, killMs, isGoneBefore }) => {
        const worker = await rig.worker({ WORKER_CONCURRENCY: '1' });
        await waitFor(() => rig.attempts().some(({ pid }) => pid === worker.pid), {
          what: `${name} to be at work`,
        });
        const timer = setTimeout(() => worker.kill('SIGKILL'), killMs);
        const ms = await timeExit(worker, signal);
        clearTimeout(timer);
        context.expect(!isGoneBefore || ms < killMs, `${name} had to kill it after ${killMs} ms`);
        context.note(`${name}: gone after ${(ms / 1_000).toFixed(1)} s`);
      }),
    );
    await rig.pool.query('INSERT INTO allowed SELECT event_id FROM webhook_events');
    await rig.worker();
    await context.balance(rig, { mayOverlap: true, mayExceedAttemptsBy: 5 });
  },
};

export const stoppedWithoutDatabase: Fault = {
  id: 'F19',
  title: 'SIGTERM while the database is a black hole',
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const proxy = await startProxy(context.t, url);
    const rig = await context.rig({ url, processUrl: proxy.url });
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      const processes = await Promise.all([rig.web(), rig.worker()]);
      await rig.sender.deliverUntilAcked({ id: `held_${round}`, act: { do: 'wait', ms: 2_000 } });
      await waitFor(() => rig.attempts().some(({ eventId }) => eventId === `held_${round}`), {
        what: 'a handler',
      });
      proxy.blackHole();
      const late = rig.sender.deliver({ id: `late_${round}` });
      await delay(200);
      const [webMs, workerMs] = await Promise.all(processes.map((process) => timeExit(process, 'SIGTERM')));
      context.expect(webMs! <= workerLimitMs, `web exited after ${Math.round(webMs!)} ms`);
      context.recovered(workerMs!, workerLimitMs, 'SIGTERM to the exit of a worker');
      context.note(`web ${(webMs! / 1_000).toFixed(1)} s, worker ${(workerMs! / 1_000).toFixed(1)} s`);
      await late;
      proxy.heal();
    }
    await Promise.all([rig.web(), rig.worker()]);
    await context.balance(rig, { mayExceedAttemptsBy: 5 });
  },
};

async function timeExit(process: TestProcess, signal: NodeJS.Signals, again?: () => void): Promise<number> {
  const at = clock();
  process.kill(signal);
  again?.();
  await process.exited;
  return clock() - at;
}
