// Named places where a test can kill, stop, fail or delay this process. They do nothing unless NODE_ENV is test.
import { setTimeout as delay } from 'node:timers/promises';
import { processEnvironment } from './config.ts';

const failpointSites = [
  'web.verified',
  'web.after-begin',
  'web.after-insert',
  'web.after-enqueue',
  'web.commit-sent',
  'web.after-commit',
  'web.after-reply',
  'worker.fetched',
  'worker.after-begin',
  'worker.after-handler',
  'worker.marked',
  'worker.commit-sent',
  'worker.after-commit',
  'worker.after-complete',
  'worker.before-fail',
  'worker.after-fail',
  'worker.moved',
  'worker.dead-letter',
  'worker.redrive',
  'worker.reconcile',
  'recover.taken',
  'promote.taken',
] as const;

export type FailpointSite = (typeof failpointSites)[number];

interface Armed {
  site: string;
  action: string;
  delayMs: number;
  /** Fires at this pass only; 0: at every pass. */
  nth: number;
}

// `<site>:<kill|stop|throw|delay ms>[:nth]`, e.g. web.after-insert:kill or worker.after-begin:delay 500:2.
function parse(text: string): Armed {
  const match = /^([a-z.-]+):(kill|stop|throw|delay (\d+))(?::(\d+))?$/.exec(text);
  if (!match || !failpointSites.includes(match[1] as FailpointSite)) {
    throw new Error(`POSTBELL_FAILPOINT: "${text}" is not <site>:<kill|stop|throw|delay ms>[:nth]`);
  }
  const [, site = '', action = '', delayMs = 0, nth = 0] = match;
  return { site, action, delayMs: Number(delayMs), nth: Number(nth) };
}

const setting = processEnvironment.NODE_ENV === 'test' ? processEnvironment.POSTBELL_FAILPOINT : undefined;
const armed = setting ? parse(setting) : undefined;
let passes = 0;

async function pass({ site, action, delayMs, nth }: Armed): Promise<void> {
  passes++;
  if (nth && passes !== nth) return;
  if (action === 'kill') process.kill(process.pid, 'SIGKILL');
  else if (action === 'stop') process.kill(process.pid, 'SIGSTOP');
  else if (action === 'throw') throw new Error(`failpoint ${site}`);
  else await delay(delayMs);
}

export const isArmed: boolean = armed !== undefined;

export const isArmedAt = (site: FailpointSite): boolean => armed?.site === site;

/** Await it at a named place; a test arms one place by POSTBELL_FAILPOINT. */
export const failpoint: (site: FailpointSite) => Promise<void> | undefined = armed
  ? (site) => (site === armed.site ? pass(armed) : undefined)
  : () => undefined;
