// Events processed a second from a full queue, by a handler that writes one row.
import { setTimeout as delay } from 'node:timers/promises';
import type { Usage } from '../machine/process.ts';
import type { Run, Session, System, WorkerVariant } from '../systems/system.ts';
import { cpuUsPerEvent, shownUs } from './cpu.ts';
import { clearEffects, readEffects } from './effects.ts';
import { withRun, withWorker } from './stage.ts';

const startTimeoutMs = 60_000;

export interface ProcessResult {
  system: string;
  variant: string;
  processedPerSecond: number;
  processed: number;
  workerCpuUs: number | undefined;
  /** Of Postgres and Redis. */
  storeCpuUs: number | undefined;
  usage: Usage;
  startMs: number;
  /** The queue was empty before the time was up. */
  isDrained: boolean;
}

export interface ProcessOptions {
  /** Most events put into the queue beforehand. */
  events: number;
  seconds: number;
  warmUpSeconds: number;
}

export function measureProcess(
  session: Session,
  system: System,
  variant: WorkerVariant,
  options: ProcessOptions,
): Promise<ProcessResult> {
  return withRun(session, system, async (run) => {
    await system.fill?.(
      run,
      Math.min(options.events, variant.mostPerSecond * (options.seconds + options.warmUpSeconds)),
    );
    // As autovacuum has long done with the tables of a queue that was filled over hours.
    await run.cluster.within(run.database, (query) => query('VACUUM ANALYZE'));
    await run.cluster.query('CHECKPOINT');
    return processOn(run, system, variant, options);
  });
}

/** With the queue that is there. */
export async function processOn(
  run: Run,
  system: System,
  variant: WorkerVariant,
  options: Pick<ProcessOptions, 'seconds' | 'warmUpSeconds'>,
): Promise<ProcessResult> {
  await clearEffects(run);
  return withWorker(run, system, variant, async (worker) => {
    await firstEffect(run);
    await delay(options.warmUpSeconds * 1_000);
    const from = await readEffects(run);
    const before = { worker: worker.usage().cpuMs, store: run.storeCpuMs() };
    await delay(options.seconds * 1_000);
    const usage = worker.usage();
    const storeAfter = run.storeCpuMs();
    const to = await readEffects(run);
    // With the queue empty, time goes on and nothing is done: then from the first effect to the last.
    const isDrained = to.lastMs < to.nowMs - 300;
    const processed = isDrained ? to.count : to.count - from.count;
    const ms = isDrained ? to.lastMs - to.firstMs : to.nowMs - from.nowMs;
    const perEvent = (before: number | undefined, after: number | undefined) =>
      isDrained ? undefined : cpuUsPerEvent(before, after, processed);
    const result: ProcessResult = {
      system: system.name,
      variant: variant.name,
      processed,
      processedPerSecond: (processed * 1_000) / ms,
      workerCpuUs: perEvent(before.worker, usage.cpuMs),
      storeCpuUs: perEvent(before.store, storeAfter),
      usage,
      startMs: worker.readyMs,
      isDrained,
    };
    run.say(line(result));
    return result;
  });
}

async function firstEffect(run: Run): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while ((await readEffects(run)).count === 0) {
    if (performance.now() > deadline) throw new Error('the worker did nothing for 60 s; see its log');
    await delay(20);
  }
}

function line(result: ProcessResult): string {
  const { system, variant, processedPerSecond, workerCpuUs, storeCpuUs, isDrained } = result;
  return (
    `  ${`${system} ${variant}`.padEnd(28)} ${processedPerSecond.toFixed(0).padStart(6)}/s` +
    `  CPU per event: worker ${shownUs(workerCpuUs)}, store ${shownUs(storeCpuUs)}${isDrained ? '  (queue ran empty)' : ''}`
  );
}
