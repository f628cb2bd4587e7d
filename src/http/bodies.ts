// Reads bodies whole: each within its bound, and all that are unfinished within one, since before its end a body has
// proven nothing and anybody can send one.
import type { FastifyRequest } from 'fastify';

type Done = (error: Error | null, body?: Buffer) => void;

interface Reading {
  bytes: number;
  /** With what each piece costs beside its bytes: a body may come in a million pieces of one. */
  heldBytes: number;
  giveUp(): void;
}

const bytesPerPiece = 256;

/** So many bodies of the largest size may be under way, or so many bytes of smaller ones. */
const largestAtATime = 8;
const leastTotalBytes = 64 * 1_048_576;

const refusal = (statusCode: 408 | 413) => Object.assign(new Error(`answered ${statusCode}`), { statusCode });

/**
 * A parser for Fastify. Beyond `limitBytes` a body is refused with 413, by its Content-Length before it is read. Where
 * all together hold too much, the one that has taken longest is given up with 408: a real sender is done in no time.
 */
export function createBodyReader(
  limitBytes: number,
  totalBytes: number = Math.max(leastTotalBytes, limitBytes * largestAtATime),
): (request: FastifyRequest, payload: NodeJS.ReadableStream, done: Done) => void {
  /** In order of arrival. */
  const unfinished = new Set<Reading>();
  let heldBytes = 0;

  return (request, payload, done) => {
    if (Number(request.headers['content-length']) > limitBytes) return done(refusal(413));
    const chunks: Buffer[] = [];
    const reading: Reading = { bytes: 0, heldBytes: 0, giveUp: () => finish(refusal(408)) };
    unfinished.add(reading);

    const onData = (chunk: Buffer) => {
      reading.bytes += chunk.length;
      reading.heldBytes += chunk.length + bytesPerPiece;
      heldBytes += chunk.length + bytesPerPiece;
      chunks.push(chunk);
      if (reading.bytes > limitBytes) return finish(refusal(413));
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
      heldBytes -= reading.heldBytes;
      payload.removeListener('data', onData).removeListener('end', onEnd);
      if (error) done(error);
      // A copy in any case: a piece may be a view of a much larger buffer, and deliveries may wait in a queue.
      else done(null, Buffer.concat(chunks, reading.bytes));
      chunks.length = 0;
    }
    // The listener for errors stays: one that comes later must find somebody.
    payload.on('data', onData).on('end', onEnd).on('error', onError);
    return undefined;
  };
}
