// The webhook routes in a Fastify app, a plugin with its own parser and errors: the app may be `web` or a team's own.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { failpoint, isArmed } from '../failpoint.ts';
import { answerNotFound, commonHeaders } from './error-responses.ts';
import { declaredBytesOf, headersOf } from './node-request.ts';
import type { Answer, WebhookCore, WebhookRequest } from './webhook-core.ts';

/** The addresses of `web`. */
const prefixes = ['/api/webhooks', '/webhooks'];
const noBody = Buffer.alloc(0);
/** The request's own place for its WebhookRequest. */
const kept = Symbol('webhook request');

/** Registers the routes at the addresses of `web`. */
export function registerWebhooks(app: FastifyInstance, core: WebhookCore): void {
  for (const prefix of prefixes) app.register(webhooks, { core, prefix });
}

/** `POST <prefix>/<source>`. Register it by `app.register`: its parser and errors do not affect other pages. */
export async function webhooks(app: FastifyInstance, { core }: { core: WebhookCore }): Promise<void> {
  app.decorateRequest(kept, null);
  // Verification needs the raw bytes of every content type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, payload, done) => {
    const webhook = requestOf(request);
    core.readBody(
      payload,
      { declaredBytes: declaredBytesOf(webhook), limitBytes: core.bodyLimitOf(webhook) },
      done,
    );
  });
  app.addHook('onClose', () => core.drained());
  app.setErrorHandler((error, request, reply) => send(reply, core.answerError(requestOf(request), error)));
  app.route({
    method: app.supportedMethods,
    url: '/:source',
    onRequest: async (request, reply) => {
      const answer = core.answerEarly(requestOf(request));
      if (answer) return send(reply, answer);
      // Fastify would answer 415 to a signed delivery with a content type that Fastify cannot parse. Verification and
      // storage read the distinct headers, which Node makes from the raw headers: they keep the type.
      delete request.raw.headers['content-type'];
      return undefined;
    },
    handler: async (request, reply) =>
      send(reply, await core.receive(requestOf(request), (request.body as Buffer | undefined) ?? noBody)),
    ...(isArmed && { onResponse: async () => failpoint('web.after-reply') }),
  });
  answerNotFound(app);
}

function requestOf(request: FastifyRequest & { [kept]?: WebhookRequest | null }): WebhookRequest {
  request[kept] ??= webhookRequestOf(request);
  return request[kept];
}

function webhookRequestOf({ id, method, params, raw, originalUrl }: FastifyRequest): WebhookRequest {
  const { source: name } = params as { source: string };
  const peer = () => raw.socket.remoteAddress;
  return { id, name, method, url: originalUrl, headers: headersOf(raw), peer };
}

function send(reply: FastifyReply, { status, contentType, body, headers = {} }: Answer): FastifyReply {
  return reply
    .code(status)
    .headers(commonHeaders(reply.request.id))
    .headers(headers)
    .type(contentType)
    .send(body);
}
