// `npx node bench/ops/beside-receiving.ts`: what ten open pages of the operators cost the web process that receives.
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runLoad } from '../load/load.ts';
import { freePort } from '../machine/ports.ts';
import { type RunningProgram, startProgram } from '../machine/process.ts';
import { cpuUsPerEvent, shownUs } from '../measure/cpu.ts';
import { onDatabase, prepare, requestsAt, templateOf, warmUp } from '../measure/stage.ts';
import { withSession } from '../session.ts';
import { postbell } from '../systems/postbell.ts';
import type { Run } from '../systems/system.ts';
import { fillEvents } from './fill.ts';

const usage = `Usage: npx node bench/ops/beside-receiving.ts [options]

  --pairs N     runs with and without open pages, interleaved (3)
  --seconds N   of each run (10)
  --events N    in the table beforehand (200,000)
  --reload-seconds N   between an answer and the page's next request (10, as an open page renews itself)
`;
const password = 'sixteen-letters-of-ops';
const readers = 10;
const connections = 64;
const paths = ['/ops', '/ops/events', '/ops/events?status=FAILED', '/ops/dead-letters', '/ops/rejections'];
const say = (text: string) => void process.stdout.write(`${text}\n`);

interface RunResult {
  accepted: number;
  acceptedPerSecond: number;
  p99Ms: number;
  webUs: number;
  storeUs: number;
  pages: number;
  /** Pages that were not answered by 200. */
  failedPages: number;
}

/** Ten people, each at a page of their own, which renews itself `reloadMs` after its last answer. */
async function readPages(
  url: string,
  reloadMs: number,
  signal: AbortSignal,
): Promise<Pick<RunResult, 'pages' | 'failedPages'>> {
  const headers = { accept: 'text/html', authorization: `Basic ${btoa(`ada:${password}`)}` };
  const counts = { pages: 0, failedPages: 0 };
  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => {}); // aborted: the loop ends
  const read = async (path: string, reader: number) => {
    await pause((reader * reloadMs) / readers);
    while (!signal.aborted) {
      const response = await fetch(url + path, { headers });
      await response.arrayBuffer();
      if (response.status === 200) counts.pages++;
      else counts.failedPages++;
      await pause(reloadMs);
    }
  };
  await Promise.all(
    Array.from({ length: readers }, (_, reader) => read(paths[reader % paths.length]!, reader)),
  );
  return counts;
}

async function measure(
  run: Run,
  web: RunningProgram & { url: string },
  reloadMs: number | undefined,
  seconds: number,
  rate: number,
): Promise<RunResult> {
  const requests = requestsAt(run, rate, seconds);
  const ending = new AbortController();
  const [webBefore, storeBefore] = [web.usage().cpuMs, run.storeCpuMs()];
  const reading = reloadMs === undefined ? undefined : readPages(web.url, reloadMs, ending.signal);
  const { accepted, acceptedPerSecond, p99Ms } = await runLoad({
    ...{ url: web.url, connections, seconds, requests },
  });
  const [webAfter, storeAfter] = [web.usage().cpuMs, run.storeCpuMs()];
  ending.abort();
  const { pages, failedPages } = (await reading) ?? { pages: 0, failedPages: 0 };
  const result = {
    ...{ accepted, acceptedPerSecond, p99Ms, pages, failedPages },
    webUs: cpuUsPerEvent(webBefore, webAfter, accepted)!,
    storeUs: cpuUsPerEvent(storeBefore, storeAfter, accepted)!,
  };
  say(
    `${reloadMs === undefined ? 'none          ' : 'ten open pages'}  ${acceptedPerSecond.toFixed(0).padStart(6)}/s  p99 ${p99Ms.toFixed(0).padStart(4)} ms  ` +
      `CPU per event: web ${shownUs(result.webUs)}, Postgres ${shownUs(result.storeUs)}  ${pages} pages${failedPages ? `, ${failedPages} FAILED` : ''}`,
  );
  return result;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function measurePairs(run: Run, pairs: number, seconds: number, reloadMs: number): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { args, env } = postbell.web(run, port);
  const program = { name: 'web', url, args, env: { ...env, OPS_PASSWORD: password } };
  const web = { ...(await startProgram(program, run.workFolder)), url };
  try {
    const rate = await warmUp(run, url, 3);
    const found: { without: RunResult; beside: RunResult }[] = [];
    for (let pair = 0; pair < pairs; pair++)
      found.push({
        without: await measure(run, web, undefined, seconds, rate),
        beside: await measure(run, web, reloadMs, seconds, rate),
      });
    const ratio = (of: (result: RunResult) => number) =>
      median(found.map(({ without, beside }) => of(beside) / of(without))).toFixed(2);
    // Independent of how many events the machine accepts meanwhile.
    const msPerPage = (of: (result: RunResult) => number) =>
      median(
        found.map(
          ({ without, beside }) => ((of(beside) - of(without)) * beside.accepted) / 1_000 / beside.pages,
        ),
      ).toFixed(0);
    say(
      `\nwith ten open pages, median of ${pairs} pairs: accepted/s × ${ratio((result) => result.acceptedPerSecond)}, ` +
        `CPU of web per event × ${ratio((result) => result.webUs)}, of Postgres × ${ratio((result) => result.storeUs)}; ` +
        `a page costs ${msPerPage((result) => result.webUs)} ms of CPU in web, ${msPerPage((result) => result.storeUs)} ms in Postgres`,
    );
  } finally {
    await web.stop();
  }
}

async function main(pairs: number, seconds: number, events: number, reloadSeconds: number): Promise<void> {
  const options = { from: 'src', profiles: undefined, systems: [postbell], watches: false, say } as const;
  await withSession(options, async (session) => {
    await prepare(session, postbell);
    await session.cluster.create('ops', templateOf(postbell));
    await session.cluster.within('ops', (query) => fillEvents(query, events, say));
    await onDatabase(session, 'ops', (run) => measurePairs(run, pairs, seconds, reloadSeconds * 1_000));
  });
}

try {
  const { values } = parseArgs({
    options: {
      pairs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '10' },
      events: { type: 'string', default: '200000' },
      'reload-seconds': { type: 'string', default: '10' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const numbers = [values.pairs, values.seconds, values.events, values['reload-seconds']].map(Number);
  if (values.help || !numbers.every((number) => Number.isInteger(number) && number > 0)) say(usage);
  else await main(...(numbers as [number, number, number, number]));
  process.exit(0);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(1);
}
