// Reads bodies whole: each within its bound, and all that are unfinished within one, since before its end a body has
// proven nothing and anybody can send one.
import type { FastifyRequest } from 'fastify';

type Done = (error: Error | null, body?: Buffer) => void;

interface Reading {
  /** What came so far, and room for more. One buffer: a body may come in a million pieces of a byte. */
  held: Buffer;
  bytes: number;
  /** More cannot come: its Content-Length, or the bound of every body. */
  mostBytes: number;
  giveUp(): void;
}

/** So many bodies of the largest size may be under way, or so many bytes of smaller ones. */
const largestAtATime = 8;
const leastTotalBytes = 64 * 1_048_576;

const refusal = (statusCode: 408 | 413) => Object.assign(new Error(`answered ${statusCode}`), { statusCode });

/**
 * A parser for Fastify. Beyond its limit a body is refused with 413, by its Content-Length before it is read. Where
 * all together hold too much, the one that has taken longest is given up with 408: a real sender is done in no time.
 * @param limitBytes of most bodies @param limitOf where some may be larger: what all together hold is bounded all the same
 */
export function createBodyReader(
  limitBytes: number,
  totalBytes: number = Math.max(leastTotalBytes, limitBytes * largestAtATime),
  limitOf: (request: FastifyRequest) => number = () => limitBytes,
): (request: FastifyRequest, payload: NodeJS.ReadableStream, done: Done) => void {
  /** In order of arrival. */
  const unfinished = new Set<Reading>();
  let heldBytes = 0;

  return (request, payload, done) => {
    const declaredBytes = Number(request.headers['content-length']);
    const bodyLimitBytes = limitOf(request);
    if (declaredBytes > bodyLimitBytes) return done(refusal(413));
    const mostBytes = Number.isInteger(declaredBytes) ? declaredBytes : bodyLimitBytes;
    const reading: Reading = { held: none, bytes: 0, mostBytes, giveUp: () => finish(refusal(408)) };
    unfinished.add(reading);

    const onData = (chunk: Buffer) => {
      if (reading.bytes + chunk.length > bodyLimitBytes) return finish(refusal(413));
      heldBytes += append(reading, chunk);
      for (const oldest of unfinished) {
        if (heldBytes <= totalBytes) break;
        oldest.giveUp();
      }
    };
    const onEnd = () => finish(null);
    // The sender went away: nobody is left to read the answer.
    const onError = (error: Error) => finish(Object.assign(error, { statusCode: 400 }));

    function finish(error: Error | null): void {
      if (!unfinished.delete(reading)) return;
      heldBytes -= reading.held.length;
      payload.removeListener('data', onData).removeListener('end', onEnd);
      if (error) done(error);
      else done(null, exact(reading));
      reading.held = none;
    }
    // The listener for errors stays: one that comes later must find somebody.
    payload.on('data', onData).on('end', onEnd).on('error', onError);
    return undefined;
  };
}

const none = Buffer.alloc(0);
const leastSecondBytes = 1_024;

/** Copies: a piece may be a view of a much larger buffer, and deliveries may wait in a queue. @returns the bytes it took */
function append(reading: Reading, chunk: Buffer): number {
  const { held, bytes, mostBytes } = reading;
  const neededBytes = bytes + chunk.length;
  let takenBytes = 0;
  if (neededBytes > held.length) {
    const larger =
      held === none
        ? Buffer.allocUnsafe(neededBytes) // most bodies come in one piece
        : Buffer.allocUnsafeSlow(
            Math.min(mostBytes, Math.max(neededBytes, 2 * held.length, leastSecondBytes)),
          );
    held.copy(larger, 0, 0, bytes);
    takenBytes = larger.length - held.length;
    reading.held = larger;
  }
  chunk.copy(reading.held, bytes);
  reading.bytes = neededBytes;
  return takenBytes;
}

/** Without the room that is left: it may wait in a queue whose bound knows only its length. */
function exact({ held, bytes }: Reading): Buffer {
  return bytes === held.length ? held : Buffer.from(held.subarray(0, bytes));
}
