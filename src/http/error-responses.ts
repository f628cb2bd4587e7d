// The JSON of error responses: a code and the request's id, nothing of the input, nothing internal.
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export const errorCodes: Record<number, string> = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'timeout',
  413: 'too_large',
  414: 'bad_request',
  415: 'unsupported_encoding',
  417: 'expectation_failed',
  431: 'headers_too_large',
};

/** The caller's request id is kept only if it is harmless in a log and a header. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : randomUUID();
}

/** The headers of every response. */
export function commonHeaders(requestId: string): Record<string, string> {
  return { 'x-request-id': requestId, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
}

export function setCommonHeaders(reply: FastifyReply): FastifyReply {
  return reply.headers(commonHeaders(reply.request.id));
}

export function sendError(reply: FastifyReply, status: number, error: string): FastifyReply {
  return setCommonHeaders(reply).code(status).send({ error, requestId: reply.request.id });
}

/** The response to a thrown error. An unknown error gets 503: the sender tries again, and only the log names the cause. */
export function sendErrorOf(error: unknown, log: Logger, reply: FastifyReply): FastifyReply {
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  const code = errorCodes[status];
  if (code) {
    if (status === 413) reply.header('connection', 'close');
    return sendError(reply, status, code);
  }
  log.error({ reqId: reply.request.id, error: describeError(error).text }, 'the request failed');
  return sendError(reply.header('retry-after', '5'), 503, 'unavailable');
}

/**
 * Answers 404 to every request without a route under the prefix of `app`, before a parser reads the body.
 * A page keeps a not-found handler that it registers under its own prefix.
 */
export function answerNotFound(app: FastifyInstance): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', async (_request, reply) => sendError(reply, 404, 'not_found'));
    scope.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'not_found'));
  });
}

/** HTTP/1.1 requires exactly one Host header; Node accepts two, and uses the first. */
export function hasProperHost({ headersDistinct, httpVersion }: IncomingMessage): boolean {
  const hosts = headersDistinct.host?.length ?? 0;
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0');
}

export function errorBody(error: string | undefined, requestId: string): string {
  return JSON.stringify({ error, requestId });
}

/** Answers a request that Node does not pass to Fastify. */
export function answerRaw(response: ServerResponse, status: number, requestId: string): void {
  const body = errorBody(errorCodes[status], requestId);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
    'x-request-id': requestId,
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(body);
}

interface Connection {
  /** The unanswered requests; several if they are pipelined. */
  requests: Set<IncomingMessage>;
  onAnswered?: () => void;
}
const connections = new WeakMap<Duplex, Connection>();

/** Call it for every request, so that `answerParserError` knows the requests to be answered first. */
export function watchRequest(request: IncomingMessage, response: ServerResponse): void {
  const connection = connections.get(request.socket) ?? { requests: new Set() };
  connections.set(request.socket, connection);
  connection.requests.add(request);
  response.once('close', () => {
    connection.requests.delete(request);
    connection.onAnswered?.();
  });
}

/**
 * Answers input that never became a request: the parser failed, or the rest did not come in time. Valid requests before it
 * on the same connection are answered first: a 400 in their place would hide that their events were stored.
 */
export function answerParserError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const connection = connections.get(socket);
  // An incomplete request is the cause of the error: it is never answered.
  if (connection && [...connection.requests].some((request) => request.complete)) {
    connection.onAnswered = () => answerParserError(error, socket);
    return;
  }
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  const requestId = randomUUID();
  const body = errorBody(errorCodes[status], requestId);
  if (socket.writable) {
    socket.write(
      [
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        'content-type: application/json; charset=utf-8',
        `content-length: ${body.length}`,
        `x-request-id: ${requestId}`,
        'cache-control: no-store',
        'connection: close',
        '',
        body,
      ].join('\r\n'),
    );
  }
  socket.destroySoon();
}
