// The events that this worker holds: of which job each is, which are ready to run, which wait for the end of a lock.
import type { FetchedJob } from '../queue/queue.ts';
import type { Entry } from './job.ts';

interface HeldJob {
  job: FetchedJob;
  /** Events that have not left the job. */
  open: number;
}

/** A job that holds a lane runs one entry, or one batch, at a time. */
interface Lane {
  /** Keys of the entries that are ready or run. */
  readonly active: Set<string>;
  /** The entries after them. */
  readonly waiting: Entry[];
}

/** An entry whose row somebody holds locked. */
interface LockedEntry {
  entry: Entry;
  /** When to look at the row again, as performance.now(). */
  probeAtMs: number;
  /** Doubles with each look. */
  waitMs: number;
}

const firstProbeMs = 2_000;
const longestProbeMs = 10_000;

export class JobBuffer {
  /** By fetch: the same job may come again while an attempt of its last fetch still runs. */
  readonly #jobs = new Map<string, HeldJob>();
  #ready: Entry[] = [];
  #locked: LockedEntry[] = [];
  readonly #running = new Set<string>();
  /** Of each job that holds a lane. */
  readonly #lanes = new Map<string, Lane>();

  /** From now on the heartbeat keeps the job. @param entries its events that are to be run, at least one */
  hold(job: FetchedJob, entries: readonly Entry[]): void {
    this.#jobs.set(fetchText(job), { job, open: entries.length });
    if (job.lane === undefined) return void this.#ready.push(...entries);
    const lane = { active: new Set<string>(), waiting: [...entries] };
    this.#lanes.set(fetchText(job), lane);
    this.#advance(lane);
  }

  #advance({ active, waiting }: Lane): void {
    const next = active.size === 0 ? waiting.shift() : undefined;
    if (!next) return;
    active.add(next.key);
    // Ahead of all others: its lane must not stand idle.
    this.#ready.unshift(next);
  }

  /** @returns the job, if the entry was its last */
  finish(entry: Entry): FetchedJob | undefined {
    this.#running.delete(entry.key);
    const held = this.#jobs.get(fetchText(entry.job));
    const lane = this.#lanes.get(fetchText(entry.job));
    if (lane) {
      lane.active.delete(entry.key);
      // Otherwise the lane is given to others: see `lockedLanes`.
      if (!this.#locked.some(({ entry: locked }) => locked.job === entry.job)) this.#advance(lane);
    }
    if (!held || --held.open > 0) return undefined;
    this.#jobs.delete(fetchText(entry.job));
    this.#lanes.delete(fetchText(entry.job));
    return held.job;
  }

  /** Stops the heartbeat of the entry's job: another worker fetches the job after HEARTBEAT_SECONDS. */
  dropJobOf(entry: Entry): void {
    this.#running.delete(entry.key);
    this.#jobs.delete(fetchText(entry.job));
    this.#lanes.delete(fetchText(entry.job));
  }

  jobs(): FetchedJob[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  readyCount(): number {
    return this.#ready.length;
  }

  /** Ready entries whose jobs hold a lane. */
  readyLanes(): number {
    if (this.#lanes.size === 0) return 0;
    return this.#ready.filter(({ job }) => job.lane !== undefined).length;
  }

  /** The oldest ready entries that fit, at most `most`; they are running from now on. */
  take(fits: (entry: Entry) => boolean, most = 1): Entry[] {
    const taken: Entry[] = [];
    for (let at = 0; at < this.#ready.length && taken.length < most; ) {
      const entry = this.#ready[at]!;
      // An event of an earlier fetch may still run here: its attempt cannot commit, but its handler is at work.
      if (this.#running.has(entry.key) || !fits(entry)) at++;
      else {
        this.#ready.splice(at, 1);
        this.#running.add(entry.key);
        taken.push(entry);
      }
    }
    return taken;
  }

  /** The entries right behind this one in its lane that fit, at most `most`; they run together with it from now on. */
  takeBehind({ job }: Entry, fits: (entry: Entry) => boolean, most: number): Entry[] {
    const lane = this.#lanes.get(fetchText(job));
    if (!lane) return [];
    const end = lane.waiting.findIndex((entry) => !fits(entry));
    const taken = lane.waiting.splice(0, Math.min(most, end < 0 ? lane.waiting.length : end));
    for (const { key } of taken) {
      this.#running.add(key);
      lane.active.add(key);
    }
    return taken;
  }

  /** Takes the entries that wait in lanes out, to be released. @param isOf chooses the lanes; default: all */
  takeWaiting(isOf: (job: FetchedJob) => boolean = () => true): Entry[] {
    return [...this.#lanes.values()].flatMap(({ waiting }) =>
      waiting[0] && isOf(waiting[0].job) ? waiting.splice(0) : [],
    );
  }

  /** The jobs that hold a lane, run nothing, and cannot go on: the row of an entry is locked. */
  lockedLanes(): FetchedJob[] {
    const jobs = this.#locked.map(({ entry }) => entry.job);
    return [...new Set(jobs)].filter((job) => this.#lanes.get(fetchText(job))?.active.size === 0);
  }

  /** The lane of the job is another's: no entry waits in it any more. */
  leaveLane(job: FetchedJob): void {
    this.#lanes.delete(fetchText(job));
  }

  /** Back to the front: no handler of theirs has started. */
  putBack(entries: readonly Entry[]): void {
    for (const { key } of entries) this.#running.delete(key);
    this.#ready.unshift(...entries);
  }

  /** Takes the ready entries behind the first `keep` out, to be released. */
  takeBeyond(keep: number): Entry[] {
    return this.#ready.splice(keep);
  }

  /** Takes the entries that fit and do not run out, to be released. */
  takeOut(fits: (entry: Entry) => boolean): Entry[] {
    const lists = [this.#ready, ...Array.from(this.#lanes.values(), ({ waiting }) => waiting)];
    return lists.flatMap((list) => {
      const taken = list.filter(fits);
      if (taken.length > 0) list.splice(0, list.length, ...list.filter((entry) => !fits(entry)));
      return taken;
    });
  }

  /** Whether an entry fits that does not run. */
  hasUnstarted(fits: (entry: Entry) => boolean): boolean {
    return this.#ready.some(fits) || [...this.#lanes.values()].some(({ waiting }) => waiting.some(fits));
  }

  /** The row is locked: looked at again after 2 s, then after twice as long, at most 10 s. */
  waitForLock(entry: Entry, now: number, lastWaitMs?: number): void {
    this.#running.delete(entry.key);
    this.#lanes.get(fetchText(entry.job))?.active.delete(entry.key);
    const waitMs = Math.min(longestProbeMs, lastWaitMs === undefined ? firstProbeMs : 2 * lastWaitMs);
    this.#locked.push({ entry, probeAtMs: now + waitMs, waitMs });
  }

  /** Those whose row is to be looked at again. */
  takeProbes(now: number): LockedEntry[] {
    const due = this.#locked.filter(({ probeAtMs }) => probeAtMs <= now);
    if (due.length > 0) this.#locked = this.#locked.filter(({ probeAtMs }) => probeAtMs > now);
    return due;
  }

  /** Everything that is not running. */
  takeAll(): Entry[] {
    return [
      ...this.#ready.splice(0),
      ...this.takeWaiting(),
      ...this.#locked.splice(0).map(({ entry }) => entry),
    ];
  }
}

function fetchText({ id, retryCount }: FetchedJob): string {
  return `${id}/${retryCount}`;
}
