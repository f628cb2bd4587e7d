// F20: a router reuses an idle connection at the very moment at which the server closes it.
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { copySource } from '../mutants/source-copy.ts';
import type { Fault, FaultContext } from './fault.ts';

/** Heroku's router keeps its connections 90 s, others 60 to 75 s. */
const idleRangesMs: readonly [number, number][] = [
  [71_000, 74_000],
  [89_000, 95_000],
];

export const keepAliveRace: Fault = {
  id: 'F20',
  title: 'POST on connections that were idle for 71-74 s and 89-95 s',
  run: async (context) => {
    const tries = context.repeats(50, 200);
    const short = copySource(context.t, [
      { file: 'src/http/server.ts', find: 'keepAliveTimeout: 100_000', replace: 'keepAliveTimeout: 72_000' },
    ]);
    const [rig, shortRig] = await Promise.all([context.rig(), context.rig({ root: short })]);
    const [web, shortWeb] = await Promise.all([rig.web(), shortRig.web()]);
    const [resets, shortResets] = await Promise.all([
      countResets(context, web.url, tries),
      countResets(context, shortWeb.url, tries),
    ]);
    context.expect(resets === 0, `${resets} of ${tries} requests were reset`);
    context.expect(shortResets > 0, 'this test cannot see a time-out that is too short');
    context.note(`${resets} of ${tries} reset; ${shortResets} of ${tries} with a time-out of 72 s`);
    context.note('HAProxy in front not run');
  },
};

async function countResets({ random }: FaultContext, url: string, tries: number): Promise<number> {
  const outcomes = await Promise.all(
    Array.from({ length: tries }, async (_, index) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: 200_000 });
      const [least, most] = idleRangesMs[index % idleRangesMs.length]!;
      await post(url, agent);
      await delay(least + (most - least) * random());
      const isOk = await post(url, agent, { mustReuse: true });
      agent.destroy();
      return isOk;
    }),
  );
  return outcomes.filter((isOk) => !isOk).length;
}

/** An unsigned POST: what matters is that it is answered. False when the connection was not kept, or reset. */
async function post(url: string, agent: Agent, { mustReuse = false } = {}): Promise<boolean> {
  const outgoing = request(`${url}/api/webhooks/stripe`, { method: 'POST', agent });
  outgoing.end('{}');
  try {
    const [incoming] = await once(outgoing, 'response');
    incoming.resume();
    await once(incoming, 'end');
    return !mustReuse || outgoing.reusedSocket;
  } catch {
    return false;
  }
}
