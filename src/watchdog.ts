// Ends a process whose event loop is blocked. Nothing inside that loop could: a thread of its own listens for its beat.
import { writeSync } from 'node:fs';
import inspector from 'node:inspector';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { describeError } from './errors.ts';
import type { Logger } from './logger.ts';

export interface Watchdog {
  /**
   * Names something that runs from now on, for the last words of a blocked process: an attempt, a batch.
   * @returns to be called when it has ended
   */
  enter(what: string): () => void;
}

interface ThreadData {
  kind: 'postbell watchdog';
  shared: SharedArrayBuffer;
  sliceMs: number;
  timeoutMs: number;
  /** The process's, as in its other log lines. */
  name: string;
}

/** The time is counted in so many slices: a process that was frozen as a whole (SIGSTOP) has missed one, not all. */
const slices = 10;
const shownNames = 20;
const namesBytes = 4_096;
/** Of the shared numbers; nobody ever wakes whoever waits at `sleep`. */
const cells = { beat: 0, sleep: 1, namesLength: 2 };
const namesOffset = 16;

/**
 * @param options.timeoutMs as WATCHDOG_SECONDS; 0 switches it off, as does an open debugger
 * @param options.name as the logger's
 */
export function startWatchdog(options: { timeoutMs: number; name: string; log: Logger }): Watchdog {
  const { timeoutMs, name, log } = options;
  if (timeoutMs === 0 || inspector.url() !== undefined) return { enter: () => () => {} };
  const shared = new SharedArrayBuffer(namesOffset + namesBytes);
  const numbers = new Int32Array(shared, 0, namesOffset / 4);
  const names = new Uint8Array(shared, namesOffset);
  const running = new Set<{ what: string }>();
  const encoder = new TextEncoder();
  const sliceMs = timeoutMs / slices;
  const data: ThreadData = { kind: 'postbell watchdog', shared, sliceMs, timeoutMs, name };
  // The same module is the thread's: a path of its own would differ between source and build.
  const thread = new Worker(new URL(import.meta.url), {
    workerData: data,
    name: 'watchdog',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  thread.unref();
  thread.on('error', (error) =>
    log.warn(
      { error: describeError(error).text },
      'the watchdog does not run: a blocked event loop goes unseen',
    ),
  );
  const beating = setInterval(() => Atomics.add(numbers, cells.beat, 1), sliceMs / 2);
  beating.unref();

  // At each change, not when it is asked for: a blocked loop cannot be asked.
  const note = () => {
    const newest = [...running].slice(-shownNames).reverse();
    const { written } = encoder.encodeInto(newest.map(({ what }) => what).join('\n'), names);
    Atomics.store(numbers, cells.namesLength, written);
  };
  return {
    enter: (what) => {
      const entry = { what };
      running.add(entry);
      note();
      return () => {
        running.delete(entry);
        note();
      };
    },
  };
}

function watch({ shared, sliceMs, timeoutMs, name }: ThreadData): void {
  const numbers = new Int32Array(shared, 0, namesOffset / 4);
  let seen = Atomics.load(numbers, cells.beat);
  for (let missed = 0; missed < slices; ) {
    Atomics.wait(numbers, cells.sleep, 0, sliceMs);
    const beat = Atomics.load(numbers, cells.beat);
    missed = beat === seen ? missed + 1 : 0;
    seen = beat;
  }
  const bytes = new Uint8Array(shared, namesOffset, Atomics.load(numbers, cells.namesLength));
  const text = new TextDecoder().decode(bytes.slice());
  const line = {
    level: 60,
    time: Date.now(),
    pid: process.pid,
    name,
    running: text === '' ? [] : text.split('\n'),
    msg: `the event loop was blocked for ${timeoutMs / 1_000} s (WATCHDOG_SECONDS): the process is ended; what ran counts as lost`,
  };
  try {
    // The logger writes in the blocked loop.
    writeSync(1, `${JSON.stringify(line)}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

if (!isMainThread && (workerData as Partial<ThreadData> | null)?.kind === 'postbell watchdog')
  watch(workerData);
