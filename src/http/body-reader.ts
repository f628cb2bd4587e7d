// Reads bodies into memory, limited per body, in total and in time: before verification a body may come from anyone.
import type { Readable } from 'node:stream';

type Done = (error: Error | null, body?: Buffer) => void;

/**
 * Reads a stream of bytes to its end. A body over its limit gets 413, by its Content-Length before it is read. When all
 * bodies together hold too many bytes, the oldest unfinished body gets 408: a real sender finishes quickly. So does a body
 * that is unfinished after 15 s. Errors have a `statusCode`; the stream is then not read to its end.
 */
export type ReadBody = (
  payload: Readable,
  /** `declaredBytes`: the Content-Length; NaN without this header. */
  sizes: { declaredBytes: number; limitBytes: number },
  done: Done,
) => void;

/** Code of the host has read the body, or a part of it: the bytes that were signed are gone. */
export class BodyTakenError extends Error {
  readonly statusCode = 500;
  readonly remedy =
    'mount Postbell before every body parser (e.g. before express.json()), or exclude its path from the parser';
  constructor() {
    super('the body was read before Postbell got the request');
    this.name = 'BodyTakenError';
  }
}

interface Reading {
  /** The bytes so far, and room for more. A single buffer: a body may arrive in a million pieces of one byte. */
  held: Buffer;
  bytes: number;
  /** Its Content-Length, or the limit of a body. */
  maxBytes: number;
  /** By `performance.now()`. */
  startedAtMs: number;
  giveUp(): void;
}

/** The total limit: this number of bodies of the largest size, but at least this number of bytes. */
const maxLargestBodies = 8;
const minTotalBytes = 64 * 1_048_576;
const timeoutMs = 15_000;
const sweepIntervalMs = 1_000;

const httpError = (statusCode: 400 | 408 | 413) =>
  Object.assign(new Error(`answered ${statusCode}`), { statusCode });

/** @param limitBytes of most bodies */
export function createBodyReader(limitBytes: number): ReadBody {
  const totalBytes = Math.max(minTotalBytes, limitBytes * maxLargestBodies);
  /** In order of arrival. */
  const unfinished = new Set<Reading>();
  let heldBytes = 0;
  const startSweep = createSweep(unfinished);

  return (payload, sizes, done) => {
    if (payload.readableDidRead || payload.readableEncoding) return done(new BodyTakenError());
    if (payload.destroyed) return done(httpError(400));
    const { declaredBytes } = sizes;
    if (declaredBytes > sizes.limitBytes) return done(httpError(413));
    const maxBytes = Number.isInteger(declaredBytes) ? declaredBytes : sizes.limitBytes;
    const giveUp = () => finish(httpError(408));
    const reading: Reading = { held: none, bytes: 0, maxBytes, startedAtMs: performance.now(), giveUp };
    unfinished.add(reading);
    startSweep();

    const onData = (chunk: Buffer) => {
      if (reading.bytes + chunk.length > sizes.limitBytes) return finish(httpError(413));
      heldBytes += append(reading, chunk);
      for (const oldest of unfinished) {
        if (heldBytes <= totalBytes) break;
        oldest.giveUp();
      }
    };
    const onEnd = () => finish(null);
    // The sender has closed the connection: no one reads the answer.
    const onError = (error: Error) => finish(Object.assign(error, { statusCode: 400 }));
    const onClose = () => finish(httpError(400));

    function finish(error: Error | null): void {
      if (!unfinished.delete(reading)) return;
      heldBytes -= reading.held.length;
      payload.off('data', onData).off('end', onEnd).off('close', onClose);
      if (error) done(error);
      else done(null, exact(reading));
      reading.held = none;
    }
    // The error listener stays: an 'error' without a listener ends the process.
    payload.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  };
}

/** Gives up bodies that take too long. The timer runs only while there are bodies, and keeps no process alive. */
function createSweep(unfinished: ReadonlySet<Reading>): () => void {
  let timer: NodeJS.Timeout | undefined;
  const sweep = () => {
    const oldestAllowedMs = performance.now() - timeoutMs;
    for (const reading of unfinished) {
      if (reading.startedAtMs > oldestAllowedMs) break;
      reading.giveUp();
    }
    if (unfinished.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return () => {
    timer ??= setInterval(sweep, sweepIntervalMs).unref();
  };
}

const none = Buffer.alloc(0);
const minSecondBytes = 1_024;

/** Copies: a piece may be a view of a much larger buffer, and deliveries may wait in a queue. @returns the bytes allocated */
function append(reading: Reading, chunk: Buffer): number {
  const { held, bytes, maxBytes } = reading;
  const neededBytes = bytes + chunk.length;
  let takenBytes = 0;
  if (neededBytes > held.length) {
    const larger =
      held === none
        ? Buffer.allocUnsafe(neededBytes) // most bodies arrive in one piece
        : Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(neededBytes, 2 * held.length, minSecondBytes)));
    held.copy(larger, 0, 0, bytes);
    takenBytes = larger.length - held.length;
    reading.held = larger;
  }
  chunk.copy(reading.held, bytes);
  reading.bytes = neededBytes;
  return takenBytes;
}

/** Without the unused room: the body may wait in a queue that is bounded by the bodies' lengths. */
function exact({ held, bytes }: Reading): Buffer {
  return bytes === held.length ? held : Buffer.from(held.subarray(0, bytes));
}
