// Accepted a second, and how long a sender waits, at several numbers of connections.
import { type LoadResult, runLoad } from '../load/load.ts';
import type { Usage } from '../machine/process.ts';
import type { Run, Session, System } from '../systems/system.ts';
import { cpuUsPerEvent, shownUs } from './cpu.ts';
import { requestsAt, type Web, warmUp, withRun, withWeb } from './stage.ts';

export interface AcceptResult extends LoadResult {
  system: string;
  connections: number;
  /** CPU time per accepted event, in µs. */
  webCpuUs: number | undefined;
  /** Of Postgres and Redis. */
  storeCpuUs: number | undefined;
  usage: Usage;
  startMs: number;
  /** Answered 2xx and not in the table: must be 0. Undefined: it stores nothing. */
  lost: number | undefined;
}

export interface AcceptOptions {
  connections: readonly number[];
  seconds: number;
  warmUpSeconds: number;
}

export function measureAccept(
  session: Session,
  system: System,
  options: AcceptOptions,
): Promise<AcceptResult[]> {
  return withRun(session, system, (run) => acceptOn(run, system, options));
}

export function acceptOn(run: Run, system: System, options: AcceptOptions): Promise<AcceptResult[]> {
  return withWeb(run, system, async (web) => {
    const results: AcceptResult[] = [];
    let rate = await warmUp(run, web.url, options.warmUpSeconds);
    for (const connections of options.connections) {
      let result = await load(run, system, web, connections, options.seconds, rate);
      // The file of requests was too short, so that some were sent twice: duplicates, and cheaper ones.
      while (result.wraps && result.lost !== undefined) {
        result = await load(run, system, web, connections, options.seconds, result.requestsPerSecond);
      }
      rate = Math.max(rate, result.requestsPerSecond);
      run.say(line(result));
      results.push(result);
    }
    return results;
  });
}

async function load(
  run: Run,
  system: System,
  web: Web,
  connections: number,
  seconds: number,
  expectedRate: number,
): Promise<AcceptResult> {
  const requests = requestsAt(run, expectedRate, seconds);
  const storedBefore = await system.stored?.(run);
  const webBefore = web.usage().cpuMs;
  const storeBefore = run.storeCpuMs();
  const result = await runLoad({ url: web.url, connections, seconds, requests });
  const usage = web.usage();
  const storeAfter = run.storeCpuMs();
  const storedAfter = await system.stored?.(run);
  return {
    ...result,
    system: system.name,
    connections,
    webCpuUs: cpuUsPerEvent(webBefore, usage.cpuMs, result.accepted),
    storeCpuUs: cpuUsPerEvent(storeBefore, storeAfter, result.accepted),
    usage,
    startMs: web.listeningMs,
    // More may be stored than answered: what was in flight at the end.
    lost:
      storedAfter === undefined ? undefined : Math.max(0, result.accepted - (storedAfter - storedBefore!)),
  };
}

function line(result: AcceptResult): string {
  const { system, connections, acceptedPerSecond, p50Ms, p99Ms, webCpuUs, storeCpuUs } = result;
  return (
    `  ${system.padEnd(16)} ${String(connections).padStart(5)} connections: ${acceptedPerSecond.toFixed(0).padStart(6)}/s` +
    `  p50 ${p50Ms.toFixed(1)} ms  p99 ${p99Ms.toFixed(1)} ms  CPU per event: web ${shownUs(webCpuUs)}, store ${shownUs(storeCpuUs)}` +
    `${result.lost ? `  LOST ${result.lost}` : ''}${result.refused + result.errors ? `  refused ${result.refused}, errors ${result.errors}` : ''}`
  );
}
