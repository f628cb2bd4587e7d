// Which sources' requests are shown to operators now, as this process knows it, and what it hands on to be kept.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { keptMinutes, purgeCaptured, readTimesLeft } from '../events/captures.ts';
import type { Logger } from '../logger.ts';
import type { Delivery, Provider, Rejection, Source } from '../providers/index.ts';
import { type CaptureWriter, createCaptureWriter } from './capture-writer.ts';

/** A request as every adapter of the receiver has it. */
export interface SeenRequest extends Pick<Delivery, 'method' | 'url' | 'headers'> {
  id: string;
  /** Name of the source as in the URL, unchecked. */
  name: string;
}

/** What became of a request, as far as its status does not say it. */
export interface Finding {
  /** As in the column `outcome`. */
  outcome: string;
  /** Of its first event, if it was accepted. */
  topic?: string | undefined;
  eventId?: string | undefined;
  rejected?: { source: Source; delivery: Delivery; rejection: Rejection };
  reason?: string;
  detail?: string | null;
}

export interface Captures {
  /** False: no request is shown. */
  isOpen(): boolean;
  /** True while the requests to this name are shown. Without an open capture it is one look at a flag. */
  wants(name: string): boolean;
  /** Says what became of a request, before `take`. While no capture is open, do not call it. */
  note(request: SeenRequest, finding: Finding): void;
  /** Hands over an answered request that is wanted. Never waits and never throws. @param body empty where it was not read */
  take(request: SeenRequest, body: Buffer, status: number): void;
  /** From now on it looks for open captures every 2 s, and deletes what is left of old ones. */
  start(): void;
  /** Waits for the statement that runs; requests that are not written yet are lost. Never rejects. */
  stop(): Promise<void>;
}

const readIntervalMs = 2_000;
/** Also without a capture that ended: with LIVE_REQUESTS alone there is none. */
const purgeIntervalMs = 3_600_000;

export interface CapturesOptions {
  database: Database;
  log: Logger;
  sources: ReadonlyMap<string, Source>;
  waiting: ReadonlyMap<string, Provider>;
  /** Name of this machine. */
  host: string;
  /** As LIVE_REQUESTS: every known source is shown, also without a capture. */
  showsAll: boolean;
}

export function createCaptures(options: CapturesOptions): Captures {
  const { database, log, sources, waiting, showsAll } = options;
  const findings = new WeakMap<SeenRequest, Finding>();
  const writer: CaptureWriter = createCaptureWriter(options);
  /** The ends of the open captures by `performance.now()`: a capture ends in time while the database is away. */
  let ends = new Map<string, number>();
  let isOpen = showsAll;
  let isFailing = false;
  let purgeAt = 0;
  const closing = new AbortController();
  let watching: Promise<void> | undefined;

  async function read(): Promise<void> {
    const now = performance.now();
    const captures = await readTimesLeft(database);
    ends = new Map(captures.filter(({ leftMs }) => leftMs > 0).map((one) => [one.source, now + one.leftMs]));
    isOpen = showsAll || ends.size > 0;
    if (now >= purgeAt || captures.some(({ leftMs }) => leftMs < -keptMinutes * 60_000)) {
      await purgeCaptured(database);
      purgeAt = now + purgeIntervalMs;
    }
    isFailing = false;
  }

  async function watch(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await read();
      } catch (error) {
        if (!isFailing) log.warn({ error: describeError(error).text }, 'the captures could not be read');
        isFailing = true;
      }
      await delay(readIntervalMs, undefined, { signal: closing.signal, ref: false }).catch(() => {}); // stopped
    }
  }

  return {
    isOpen: () => isOpen,
    wants: (name) =>
      isOpen &&
      ((showsAll && (sources.has(name) || waiting.has(name))) || performance.now() < (ends.get(name) ?? 0)),
    note: (request, finding) => void findings.set(request, finding),
    take: (request, body, status) => writer.add(request, body, status, findings.get(request)),
    start: () => {
      watching = watch();
    },
    stop: async () => {
      closing.abort();
      await watching;
      await writer.stop();
    },
  };
}
