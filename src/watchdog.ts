// Ends a process whose event loop is blocked. A separate thread watches a counter that the event loop increments.
import { writeSync } from 'node:fs';
import inspector from 'node:inspector';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { describeError } from './errors.ts';
import type { Logger } from './logger.ts';

export interface Watchdog {
  /**
   * Registers a running attempt or batch, for the last log line of a blocked process.
   * @returns a function to call at its end
   */
  enter(what: string): () => void;
}

interface ThreadData {
  kind: 'postbell watchdog';
  shared: SharedArrayBuffer;
  sliceMs: number;
  timeoutMs: number;
  /** Name of the process, as in its other log lines. */
  name: string;
}

/** The time-out is divided into this number of slices: a process frozen as a whole (SIGSTOP) misses one slice, not all. */
const slices = 10;
const shownNames = 20;
const namesBytes = 4_096;
/** Indexes of the shared numbers. `sleep` is only waited on: no thread wakes it. */
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
  // The thread loads this module: the path of a second module would differ between source and build.
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
      'the watchdog does not run: a blocked event loop is not noticed',
    ),
  );
  const beating = setInterval(() => Atomics.add(numbers, cells.beat, 1), sliceMs / 2);
  beating.unref();

  // Writes the names at each change: a blocked event loop could not answer later.
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
    msg: `the event loop was blocked for ${timeoutMs / 1_000} s (WATCHDOG_SECONDS): the process is ended; running attempts count as lost`,
  };
  try {
    // Not through the logger, which needs the blocked event loop.
    writeSync(1, `${JSON.stringify(line)}\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}

if (!isMainThread && (workerData as Partial<ThreadData> | null)?.kind === 'postbell watchdog')
  watch(workerData);
