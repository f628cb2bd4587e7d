// Floods of what is not proven: costs of each by itself, then all of them at a real server that has to stay awake.
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { busyness, slowness } from '../support/busyness.ts';
import { startProcess } from '../support/processes.ts';
import { createRandom } from './random.ts';
import { deliveryOf, everyUnproven, nameOf, sampleOf } from './unproven.ts';
import { exchange, rawRequest } from './wire.ts';

export interface UnprovenReport {
  count: number;
  problems: string[];
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const mebibyte = 1_048_576;
const heapMb = 64;
const serverHeapMb = 256;
const connections = 3;
const probeEveryMs = 20;
const longestStallMs = 250;
const healthz = rawRequest({ method: 'GET', path: '/healthz', framing: 'none' });

/** How the cost grows with the body, in a process whose heap holds no more than some dozens of bodies. */
export async function costOfUnproven(t: Test, seed: number, count: number | 'all'): Promise<UnprovenReport> {
  const measuring = startProcess(t, [String(seed), String(count)], {
    script: file('unproven-cost.ts'),
    env: { NODE_OPTIONS: `--max-old-space-size=${heapMb}` },
    mayFail: true,
  });
  const { code, signal } = await measuring.exited;
  const problems = measuring.logs.flatMap(({ problem }) => (problem === undefined ? [] : [String(problem)]));
  if (!measuring.logs.some(({ done }) => done)) {
    const last = measuring.logs.findLast(({ begins }) => begins)?.begins;
    problems.push(`it ended with ${code ?? signal} at ${last}: ${measuring.output().slice(-500)}`);
  }
  return { count: Number(measuring.logs[0]?.count), problems };
}

/** Bodies of the largest size over several connections, while /healthz is asked again and again. */
export async function stallsOfUnproven(
  t: Test,
  seed: number,
  count: number | 'all',
): Promise<UnprovenReport & { worstMs: number; turnMs: number }> {
  const server = startProcess(t, [], {
    script: file('unproven-server.ts'),
    env: { NODE_OPTIONS: `--max-old-space-size=${serverHeapMb}` },
  });
  const { address } = await server.waitForLog('listening');
  const port = Number(new URL(String(address)).port);
  const all = count === 'all' ? everyUnproven() : sampleOf(createRandom(seed), count);
  const problems: string[] = [];
  let next = 0;
  let underWay: string[] = [];
  async function flood(): Promise<void> {
    for (let unproven = all[next++]; unproven; unproven = all[next++]) {
      const name = nameOf(unproven);
      const { headers, body } = deliveryOf(unproven, mebibyte - 4_096);
      const bytes = rawRequest({
        path: `/webhooks/${unproven.provider.name}`,
        headers: Object.entries(headers).flatMap(([key, values = []]) =>
          values.map((value) => [key, value] as const),
        ),
        body: body.subarray(0, mebibyte),
      });
      underWay.push(name);
      const { answers } = await exchange(port, bytes, { answers: 1, timeoutMs: 60_000 });
      const status = answers[0]?.status;
      if (status === undefined || (status >= 500 && status !== 503))
        problems.push(`${name}: answered ${status}`);
      underWay = underWay.filter((one) => one !== name);
    }
  }
  let worstMs = 0;
  let isOver = false;
  async function probe(): Promise<void> {
    while (!isOver) {
      const about = underWay.join(' | ');
      const { ms } = await exchange(port, healthz, { answers: 1, timeoutMs: 60_000 });
      worstMs = Math.max(worstMs, ms);
      const allowedMs = longestStallMs * busyness();
      if (ms > allowedMs) problems.push(`/healthz took ${Math.round(ms)} ms beside ${about}`);
      await delay(probeEveryMs);
    }
  }
  const probing = probe();
  await Promise.all(Array.from({ length: connections }, flood));
  isOver = true;
  await probing;
  const turnMs = Number(server.logs.findLast(({ longestTurnMs }) => longestTurnMs)?.longestTurnMs);
  const allowedTurnMs = longestStallMs * slowness();
  if (!(turnMs <= allowedTurnMs))
    problems.push(
      `the server worked for ${turnMs} ms without a turn (${Math.round(allowedTurnMs)} ms are allowed)`,
    );
  return { count: all.length, problems, worstMs: Math.round(worstMs), turnMs: Math.round(turnMs) };
}
