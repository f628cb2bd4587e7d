// The HTTP server without its pages: limits, timeouts, errors without a stack, health. Pages are plugins, which the caller
// registers (`app.register`) before it listens.
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
import { type HealthDeps, registerHealth } from './health.ts';

export interface ServerDeps extends HealthDeps {
  log: Logger;
  /** As BODY_LIMIT_BYTES; a page may read more or less by its own parser. */
  bodyLimitBytes: number;
}

export function createServer(deps: ServerDeps): FastifyInstance {
  const app = Fastify({
    loggerInstance: deps.log as FastifyBaseLogger,
    // Our own line per delivery says more: source, event, outcome, ms.
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger per request would cost more than its one line, which names the request by itself.
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    requestIdHeader: false,
    bodyLimit: deps.bodyLimitBytes,
    // Headers or a body that come a byte at a time must not hold a connection for ever: 408. Idle connections are
    // not meant; Node looks every 30 s by default, which would make 15 s into 45.
    requestTimeout: 15_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    connectionTimeout: 0,
    // Longer than any router's in front (Heroku's keeps connections 90 s): else it meets a socket just closed.
    keepAliveTimeout: 100_000,
    // A 503 to a sender that never retries is a lost event: what reaches a closing process is still answered.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 100 },
    exposeHeadRoutes: false,
    clientErrorHandler: answerParserError,
    // Before any route: a URL that cannot be decoded, a name longer than any source's.
    frameworkErrors: ({ code }, _request, reply) =>
      code === 'FST_ERR_MAX_PARAM_LENGTH'
        ? sendError(reply, 404, 'not_found')
        : sendError(reply, 400, 'bad_request'),
  });
  app.server.prependListener('request', watchRequest);
  app.server.on('checkExpectation', (request, response) => answerRaw(response, 417, requestIdOf(request)));
  // Known to the parser and not to Fastify: these, too, are told which methods are allowed.
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
  registerHealth(app, deps);
  return app;
}

// Longer than a delivery may wait for its commit; what is still open then never sent its request to the end.
const drainMs = 8_000;

/**
 * Lets a closing server end: Node closes the connections that are idle at that moment, but neither those that become
 * so later, nor those whose request stalls. @returns whether it is closing
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
