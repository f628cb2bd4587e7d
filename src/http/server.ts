// The HTTP server without its pages: limits, timeouts, errors without a stack. The caller registers the pages before it listens.
import { METHODS } from 'node:http';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Logger } from '../logger.ts';
import {
  answerNotFound,
  answerParserError,
  answerRaw,
  hasProperHost,
  requestIdOf,
  sendError,
  sendErrorOf,
  setCommonHeaders,
  watchRequest,
} from './error-responses.ts';

export interface ServerDeps {
  log: Logger;
  /** As BODY_LIMIT_BYTES; a page may read more or less by its own parser. */
  bodyLimitBytes: number;
}

export function createServer(deps: ServerDeps): FastifyInstance {
  const app = Fastify({
    loggerInstance: deps.log as FastifyBaseLogger,
    // Our line per delivery has more fields: source, event, outcome, ms.
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger per request would cost more than the log line, which contains the request id itself.
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    requestIdHeader: false,
    bodyLimit: deps.bodyLimitBytes,
    // Headers or a body that arrive byte by byte must not hold a connection for ever: 408. Idle connections are not
    // affected. Node's default interval of 30 s would turn 15 s into 45 s.
    requestTimeout: 15_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    connectionTimeout: 0,
    // Longer than the time-out of any router in front (Heroku: 90 s), which would otherwise use a socket that is just closed.
    keepAliveTimeout: 100_000,
    // A 503 to a sender that never retries is a lost event: a closing process still answers its requests.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 100 },
    exposeHeadRoutes: false,
    clientErrorHandler: answerParserError,
    // Errors before any route: a URL that cannot be decoded, a name that is too long for a source.
    frameworkErrors: ({ code }, _request, reply) =>
      code === 'FST_ERR_MAX_PARAM_LENGTH'
        ? sendError(reply, 404, 'not_found')
        : sendError(reply, 400, 'bad_request'),
  });
  app.server.prependListener('request', watchRequest);
  app.server.on('checkExpectation', (request, response) => answerRaw(response, 417, requestIdOf(request)));
  // Methods that Node's parser knows and Fastify does not: they also get 405 with the allowed methods.
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);

  app.addHook('onRequest', (request, reply, done) => {
    if (hasProperHost(request.raw)) done();
    else sendError(reply.header('connection', 'close'), 400, 'bad_request');
  });
  const isClosing = closeConnections(app);
  app.addHook('onSend', (_request, reply, payload, done) => {
    setCommonHeaders(reply);
    if (isClosing()) reply.header('connection', 'close');
    done(null, payload);
  });
  answerNotFound(app);
  app.setErrorHandler((error, _request, reply) => sendErrorOf(error, deps.log, reply));
  return app;
}

// Longer than a delivery may wait for its commit: a connection that is open then has an incomplete request.
const drainMs = 8_000;

/**
 * Lets a closing server end: Node closes only the connections that are idle at that moment, not those that become idle
 * later or whose request stalls. @returns a function that tells whether the server is closing
 */
function closeConnections(app: FastifyInstance): () => boolean {
  let closing: NodeJS.Timeout | undefined;
  app.addHook('preClose', (done) => {
    const until = performance.now() + drainMs;
    closing = setInterval(() => {
      if (performance.now() < until) app.server.closeIdleConnections();
      else app.server.closeAllConnections();
    }, 100);
    done();
  });
  app.addHook('onClose', async () => clearInterval(closing));
  return () => closing !== undefined;
}
