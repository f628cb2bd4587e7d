// The webhooks as a `(req, res)` listener: for Express, Koa, and servers of node:http and node:http2.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AnswerRequest } from './answer-request.ts';
import { commonHeaders, requestIdOf } from './error-responses.ts';
import { headersOf, sourceNameIn } from './node-request.ts';
import type { Answer } from './webhook-core.ts';

/** @returns a function that resolves when the answer was written, or its connection is gone, and never rejects */
export function createNodeListener(
  answerRequest: AnswerRequest,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const id = requestIdOf(request);
    const { method = 'GET' } = request;
    const url = urlOf(request);
    const name = sourceNameIn(url);
    const peer = () => request.socket.remoteAddress;
    const webhook = { id, name, method, url, headers: headersOf(request), peer };
    const answer = await answerRequest(webhook, () => request);
    // Else the host has answered meanwhile, e.g. by a time-out of its own: the provider sends a duplicate later.
    if (!response.headersSent && !response.destroyed) await write(response, id, answer);
  };
}

/** Express and Connect shorten `url` below a mount path, and keep the whole in `originalUrl`. */
function urlOf(request: IncomingMessage & { originalUrl?: unknown }): string {
  return typeof request.originalUrl === 'string' ? request.originalUrl : (request.url ?? '');
}

function write(response: ServerResponse, id: string, answer: Answer): Promise<void> {
  const headers = { ...commonHeaders(id), ...answer.headers, 'content-type': answer.contentType };
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.statusCode = answer.status;
  response.setHeader('content-length', Buffer.byteLength(answer.body));
  return new Promise((resolve) => {
    response.once('close', resolve).once('finish', resolve);
    response.end(answer.body);
  });
}
