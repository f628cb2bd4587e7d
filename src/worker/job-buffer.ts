// The events that this worker holds: of which job each is, which are ready to run, which wait for the end of a lock.
import type { FetchedJob } from '../queue/queue.ts';
import type { Entry } from './job.ts';

interface HeldJob {
  job: FetchedJob;
  /** Events that have not left the job. */
  open: number;
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

  /** From now on the heartbeat keeps the job. @param entries its events that are to be run, at least one */
  hold(job: FetchedJob, entries: readonly Entry[]): void {
    this.#jobs.set(fetchText(job), { job, open: entries.length });
    this.#ready.push(...entries);
  }

  /** @returns the job, if the entry was its last */
  leave(entry: Entry): FetchedJob | undefined {
    this.#running.delete(entry.key);
    const held = this.#jobs.get(fetchText(entry.job));
    if (!held || --held.open > 0) return undefined;
    this.#jobs.delete(fetchText(entry.job));
    return held.job;
  }

  /** The heartbeat of these jobs ends: other workers get them. */
  abandon(entry: Entry): void {
    this.#running.delete(entry.key);
    this.#jobs.delete(fetchText(entry.job));
  }

  jobs(): FetchedJob[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  readyCount(): number {
    return this.#ready.length;
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

  /** Back to the front: no handler of theirs has started. */
  putBack(entries: readonly Entry[]): void {
    for (const { key } of entries) this.#running.delete(key);
    this.#ready.unshift(...entries);
  }

  /** Takes the ready entries behind the first `keep` out, to be released. */
  takeBeyond(keep: number): Entry[] {
    return this.#ready.splice(keep);
  }

  /** Takes the ready entries that fit out, to be released. */
  takeOut(fits: (entry: Entry) => boolean): Entry[] {
    const taken = this.#ready.filter(fits);
    if (taken.length > 0) this.#ready = this.#ready.filter((entry) => !fits(entry));
    return taken;
  }

  /** Whether a ready entry fits. */
  hasReady(fits: (entry: Entry) => boolean): boolean {
    return this.#ready.some(fits);
  }

  /** The row is locked: looked at again after 2 s, then after twice as long, at most 10 s. */
  waitForLock(entry: Entry, now: number, lastWaitMs?: number): void {
    this.#running.delete(entry.key);
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
    return [...this.#ready.splice(0), ...this.#locked.splice(0).map(({ entry }) => entry)];
  }
}

function fetchText({ id, retryCount }: FetchedJob): string {
  return `${id}/${retryCount}`;
}
