// Reads bodies into memory, limited per body and in total: before verification a body may come from anyone.
import type { FastifyRequest } from 'fastify';

type Done = (error: Error | null, body?: Buffer) => void;

interface Reading {
  /** The bytes so far, and room for more. A single buffer: a body may arrive in a million pieces of one byte. */
  held: Buffer;
  bytes: number;
  /** Its Content-Length, or the limit of a body. */
  maxBytes: number;
  giveUp(): void;
}

/** The total limit: this number of bodies of the largest size, but at least this number of bytes. */
const maxLargestBodies = 8;
const minTotalBytes = 64 * 1_048_576;

const httpError = (statusCode: 408 | 413) =>
  Object.assign(new Error(`answered ${statusCode}`), { statusCode });

/**
 * A parser for Fastify. A body over its limit gets 413, by its Content-Length before it is read. When all bodies together
 * hold too many bytes, the oldest unfinished body gets 408: a real sender finishes quickly.
 * @param limitBytes of most bodies @param limitOf where some may be larger; the total limit holds for them as well
 */
export function createBodyReader(
  limitBytes: number,
  totalBytes: number = Math.max(minTotalBytes, limitBytes * maxLargestBodies),
  limitOf: (request: FastifyRequest) => number = () => limitBytes,
): (request: FastifyRequest, payload: NodeJS.ReadableStream, done: Done) => void {
  /** In order of arrival. */
  const unfinished = new Set<Reading>();
  let heldBytes = 0;

  return (request, payload, done) => {
    const declaredBytes = Number(request.headers['content-length']);
    const bodyLimitBytes = limitOf(request);
    if (declaredBytes > bodyLimitBytes) return done(httpError(413));
    const maxBytes = Number.isInteger(declaredBytes) ? declaredBytes : bodyLimitBytes;
    const reading: Reading = { held: none, bytes: 0, maxBytes, giveUp: () => finish(httpError(408)) };
    unfinished.add(reading);

    const onData = (chunk: Buffer) => {
      if (reading.bytes + chunk.length > bodyLimitBytes) return finish(httpError(413));
      heldBytes += append(reading, chunk);
      for (const oldest of unfinished) {
        if (heldBytes <= totalBytes) break;
        oldest.giveUp();
      }
    };
    const onEnd = () => finish(null);
    // The sender has closed the connection: no one reads the answer.
    const onError = (error: Error) => finish(Object.assign(error, { statusCode: 400 }));

    function finish(error: Error | null): void {
      if (!unfinished.delete(reading)) return;
      heldBytes -= reading.held.length;
      payload.removeListener('data', onData).removeListener('end', onEnd);
      if (error) done(error);
      else done(null, exact(reading));
      reading.held = none;
    }
    // The error listener stays: an 'error' without a listener ends the process.
    payload.on('data', onData).on('end', onEnd).on('error', onError);
    return undefined;
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
