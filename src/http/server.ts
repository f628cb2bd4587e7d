// The Fastify application: raw bodies, one shape of error, no stack to any caller. It never listens by itself.
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type HealthDeps, registerHealth } from './health.ts';
import { answerParserError, errorCodes, refuse, requestIdOf } from './refusals.ts';
import { registerWebhooks, type WebhookDeps } from './webhooks.ts';

export interface ServerDeps extends WebhookDeps, HealthDeps {
  log: Logger;
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
    // A body that comes a byte at a time must not hold a connection for ever.
    requestTimeout: 15_000,
    connectionTimeout: 0,
    // Longer than any router's in front (Heroku's keeps connections 90 s): else it meets a socket just closed.
    keepAliveTimeout: 100_000,
    // A 503 to a sender that never retries is a lost event: what reaches a closing process is still answered.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 100 },
    exposeHeadRoutes: false,
    clientErrorHandler: answerParserError,
    frameworkErrors: (_error, _request, reply) => refuse(reply, 400, 'bad_request'),
  });
  app.server.headersTimeout = 105_000;

  // Verification needs the bytes of whatever type they claim to be.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', request.id);
    reply.header('cache-control', 'no-store');
    reply.header('x-content-type-options', 'nosniff');
    done(null, payload);
  });
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, 'not_found'));
  app.setErrorHandler((error, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    const code = errorCodes[status];
    if (code) {
      if (status === 413) reply.header('connection', 'close');
      return refuse(reply, status, code);
    }
    // Whatever it was, the sender should try again; the message is for the log alone.
    deps.log.error({ reqId: request.id, error: describeError(error).text }, 'the request failed');
    return refuse(reply.header('retry-after', '5'), 503, 'unavailable');
  });

  registerHealth(app, deps);
  registerWebhooks(app, deps);
  return app;
}
