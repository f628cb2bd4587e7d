// A burst as it comes in life: web and worker share the machine, and it is over when the last event is handled.
import { setTimeout as delay } from 'node:timers/promises';
import { runLoad } from '../load/load.ts';
import type { RunningProgram } from '../machine/process.ts';
import type { Run, Session, System, WorkerVariant } from '../systems/system.ts';
import { cpuUsPerEvent, shownUs } from './cpu.ts';
import { clearEffects, type Effects, readEffects } from './effects.ts';
import { requestsAt, type Web, warmUp, withRun, withWeb, withWorker } from './stage.ts';

/** A worker that does nothing for so long will not do the rest either. */
const patienceMs = 30_000;
/** Longer than any worker here waits between two looks at its queue. */
const quietMs = 2_000;
const pollMs = 200;

export interface BurstResult {
  system: string;
  variant: string;
  accepted: number;
  /** While the burst lasts, with the worker beside it. */
  acceptedPerSecond: number;
  ackP50Ms: number;
  ackP99Ms: number;
  /** From the first request to the last handler's row. */
  seconds: number;
  /** Accepted events over these seconds. */
  handledPerSecond: number;
  /** Accepted and never handled: must be 0. */
  missing: number;
  /** CPU time per event, from its request to its handler's row, in µs: of web, of the worker, of Postgres and Redis. */
  webCpuUs: number | undefined;
  workerCpuUs: number | undefined;
  storeCpuUs: number | undefined;
}

export interface BurstOptions {
  connections: number;
  seconds: number;
  warmUpSeconds: number;
}

export function measureBurst(
  session: Session,
  system: System,
  variant: WorkerVariant,
  options: BurstOptions,
): Promise<BurstResult> {
  return withRun(session, system, (run) =>
    withWeb(run, system, (web) =>
      withWorker(run, system, variant, async (worker) => {
        const result = {
          system: system.name,
          variant: variant.name,
          ...(await burst(run, web, worker, options)),
        };
        run.say(line(result));
        return result;
      }),
    ),
  );
}

async function burst(
  run: Run,
  web: Web,
  worker: RunningProgram,
  { connections, seconds, warmUpSeconds }: BurstOptions,
): Promise<Omit<BurstResult, 'system' | 'variant'>> {
  const rate = await warmUp(run, web.url, warmUpSeconds);
  await untilHandled(run, Number.POSITIVE_INFINITY, quietMs);
  await clearEffects(run);
  const requests = requestsAt(run, rate, seconds);
  const before = cpuMs(run, web, worker);
  const { nowMs: startMs } = await readEffects(run);
  const { accepted, acceptedPerSecond, p50Ms, p99Ms, wraps } = await runLoad({
    url: web.url,
    connections,
    seconds,
    requests,
  });
  if (wraps) throw new Error('the file of requests was too short: some events were sent twice');
  const { count, lastMs } = await untilHandled(run, accepted);
  const after = cpuMs(run, web, worker);
  const perEvent = (program: 'web' | 'worker' | 'store') =>
    cpuUsPerEvent(before[program], after[program], accepted);
  const tookSeconds = (lastMs - startMs) / 1_000;
  return {
    accepted,
    acceptedPerSecond,
    ackP50Ms: p50Ms,
    ackP99Ms: p99Ms,
    seconds: tookSeconds,
    handledPerSecond: accepted / tookSeconds,
    // More may be handled than answered: what was in flight at the end.
    missing: Math.max(0, accepted - count),
    webCpuUs: perEvent('web'),
    workerCpuUs: perEvent('worker'),
    storeCpuUs: perEvent('store'),
  };
}

/** Until that many rows are there and nothing more comes, or nothing has come for long. */
async function untilHandled(run: Run, expected: number, waitMs = patienceMs): Promise<Effects> {
  let before = await readEffects(run);
  let movedAt = performance.now();
  for (;;) {
    await delay(pollMs);
    const now = await readEffects(run);
    if (now.count > before.count) movedAt = performance.now();
    else if (now.count >= expected || performance.now() - movedAt > waitMs) return now;
    before = now;
  }
}

const cpuMs = (run: Run, web: RunningProgram, worker: RunningProgram) => ({
  web: web.usage().cpuMs,
  worker: worker.usage().cpuMs,
  store: run.storeCpuMs(),
});

function line({ system, variant, ...result }: BurstResult): string {
  return (
    `  ${`${system} ${variant}`.padEnd(28)} accepted ${result.acceptedPerSecond.toFixed(0)}/s for ${result.accepted} events` +
    `  p50 ${result.ackP50Ms.toFixed(1)} ms  p99 ${result.ackP99Ms.toFixed(1)} ms  all handled after ${result.seconds.toFixed(1)} s,` +
    ` ${result.handledPerSecond.toFixed(0)}/s  CPU per event: web ${shownUs(result.webCpuUs)}, worker ${shownUs(result.workerCpuUs)}, store ${shownUs(result.storeCpuUs)}` +
    `${result.missing ? `  MISSING ${result.missing}` : ''}`
  );
}
