// The webhooks as a handler from Request to Response: for Next, Hono and other frameworks on Node.
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { AnswerRequest } from './answer-request.ts';
import { BodyTakenError } from './body-reader.ts';
import { commonHeaders, requestIdOf } from './error-responses.ts';
import { sourceNameIn } from './node-request.ts';

/** @returns a function that never rejects */
export function createFetchHandler(answerRequest: AnswerRequest): (request: Request) => Promise<Response> {
  return async (request) => {
    const id = requestIdOf({ headers: { 'x-request-id': request.headers.get('x-request-id') ?? undefined } });
    const url = pathOf(request.url);
    const webhook = {
      id,
      name: sourceNameIn(url),
      method: request.method,
      url,
      // A Request joins the values of a repeated header by commas.
      headers: Object.fromEntries([...request.headers].map(([name, value]) => [name, [value]])),
    };
    const opened: Readable[] = [];
    const { status, contentType, body, headers } = await answerRequest(webhook, () => {
      const stream = streamOf(request);
      opened.push(stream);
      return stream;
    });
    // The rest of a body is dropped: its sender may never end it.
    for (const stream of opened) stream.destroy();
    const { connection: _, ...forResponse } = headers ?? {}; // the host's server owns its connections
    const isBodiless = request.method === 'HEAD' || status === 204 || status === 304;
    return new Response(isBodiless ? null : body, {
      status,
      headers: { ...commonHeaders(id), ...forResponse, 'content-type': contentType },
    });
  };
}

/** Path and query as sent: a URL parser would change some characters. */
function pathOf(url: string): string {
  const [, path = url] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/is.exec(url) ?? [];
  return path;
}

/** @throws BodyTakenError */
function streamOf(request: Request): Readable {
  if (request.bodyUsed || request.body?.locked) throw new BodyTakenError();
  return request.body ? Readable.fromWeb(request.body as ReadableStream) : Readable.from([]);
}
