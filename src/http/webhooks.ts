// The webhook routes, a plugin with its own parser and errors: verifies, waits for the commit, answers. Never runs a handler.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeError } from '../errors.ts';
import { failpoint, isArmed } from '../failpoint.ts';
import {
  acceptedAnswerOf,
  answerHandshake,
  bodyLimitOf,
  type Delivery,
  findProvider,
  type HandshakeAnswer,
  handshakeMethods,
  keptHeaders,
  type Provider,
  queryAsForm,
  type Rejection,
  readEvents,
  type Source,
  unavailableStatusOf,
  verifyDelivery,
} from '../providers/index.ts';
import { acceptDrafts } from '../receive/accept.ts';
import { type Receiver, UnavailableError } from '../receive/receiver.ts';
import type { StoredSources } from '../receive/stored-sources.ts';
import { createBodyReader } from './body-reader.ts';
import { createDeliveryRecords, type DeliveryRecords, type DeliveryRecordsDeps } from './delivery-records.ts';
import { answerNotFound, errorCodes, sendError, sendErrorOf } from './error-responses.ts';
import { createFollowUps, type FollowUps } from './follow-ups.ts';
import { type AnswerHandover, createHandovers, type HandoverDeps } from './secret-handover.ts';

export interface WebhookDeps extends HandoverDeps, DeliveryRecordsDeps {
  receiver: Pick<Receiver, 'submit'>;
  storedSources: Pick<StoredSources, 'has'>;
  /** As BODY_LIMIT_BYTES. */
  bodyLimitBytes: number;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
}

/** The parts that all requests share. */
interface Webhooks extends WebhookDeps {
  records: DeliveryRecords;
  followUps: FollowUps;
  answerHandover: AnswerHandover;
}

/** A delivery with the arrival time of its request, by `performance.now()`. */
interface Arrival {
  source: Source;
  delivery: Delivery;
  startedAtMs: number;
}

const prefixes = ['/api/webhooks', '/webhooks'];
const noBody = Buffer.alloc(0);
const retryAfterSeconds = 5;

/** Register it by `app.register`: its parser and errors do not affect other pages. */
export async function webhooks(app: FastifyInstance, deps: WebhookDeps): Promise<void> {
  const parts: Webhooks = {
    ...deps,
    records: createDeliveryRecords(deps),
    followUps: createFollowUps(),
    answerHandover: createHandovers(deps),
  };
  const limitOf = (request: FastifyRequest) => bodyLimitOfSource(parts, sourceOf(parts, request));
  // Verification needs the raw bytes of every content type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', createBodyReader(deps.bodyLimitBytes, undefined, limitOf));
  app.setErrorHandler((error, request, reply) => handleError(parts, error, request, reply));
  app.addHook('onClose', () => parts.followUps.drained());
  const route = {
    method: app.supportedMethods,
    url: '/:source',
    onRequest: async (request: FastifyRequest, reply: FastifyReply) => answerEarly(parts, request, reply),
    handler: (request: FastifyRequest, reply: FastifyReply) => receive(parts, request, reply),
    ...(isArmed && { onResponse: async () => failpoint('web.after-reply') }),
  };
  const routes = async (scope: FastifyInstance) => {
    scope.route(route);
    answerNotFound(scope);
  };
  for (const prefix of prefixes) app.register(routes, { prefix });
}

/** Answers requests whose body need not be read. */
function answerEarly(parts: Webhooks, request: FastifyRequest, reply: FastifyReply) {
  const source = sourceOf(parts, request);
  if (!source)
    return parts.waiting.get(nameOf(request))?.handover ? undefined : answerSourceless(parts, request, reply);
  const methods = ['POST', ...handshakeMethods(source)];
  if (!methods.includes(request.method)) {
    parts.metrics.countRequest(source.name, 'method_not_allowed');
    return sendError(reply.header('allow', methods.join(', ')), 405, 'method_not_allowed');
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    // Never decompressed: the signature covers the sent bytes, and a small body may expand to gigabytes.
    parts.metrics.countRequest(source.name, 'unsupported_encoding');
    return sendError(reply.header('connection', 'close'), 415, 'unsupported_encoding');
  }
  // Fastify would answer 415 to a signed delivery with a content type that Fastify cannot parse. Verification and storage
  // read `headersDistinct`, which Node makes from the raw headers: it keeps the type.
  delete request.raw.headers['content-type'];
  return undefined;
}

async function receive(parts: Webhooks, request: FastifyRequest, reply: FastifyReply) {
  const startedAtMs = performance.now();
  let delivery: Delivery = {
    method: request.method,
    url: request.raw.url ?? '',
    headers: request.raw.headersDistinct,
    body: Buffer.isBuffer(request.body) ? request.body : noBody,
    receivedAt: parts.now?.() ?? new Date(),
  };
  const handover = parts.answerHandover(nameOf(request), delivery);
  const handoverAnswer = handover && (await handover);
  if (handoverAnswer) return sendAnswer(reply, handoverAnswer);
  const source = sourceOf(parts, request);
  if (!source) return answerSourceless(parts, request, reply);
  const unsigned = answerHandshake(source, delivery, 'unsigned');
  if (unsigned) return sendHandshake(parts, request, reply, { source, delivery, startedAtMs }, unsigned);
  if (request.method !== 'POST') {
    if (request.method !== 'GET' || !source.provider.sendsByGet) return sendError(reply, 400, 'bad_request');
    delivery = queryAsForm(delivery);
  }

  const arrival = { source, delivery, startedAtMs };
  const verdict = await verifyDelivery(source, delivery);
  if (!verdict.ok) return rejectDelivery(parts, request, reply, arrival, verdict);
  const signed = answerHandshake(source, delivery, 'verified', verdict.secretIndex);
  if (signed) return sendHandshake(parts, request, reply, arrival, signed);
  return acceptDelivery(parts, request, reply, arrival);
}

async function acceptDelivery(
  parts: Webhooks,
  request: FastifyRequest,
  reply: FastifyReply,
  { source, delivery, startedAtMs }: Arrival,
) {
  const headers = keptHeaders(source, delivery);
  const drafts = readEvents(source, delivery, parts.storesRawBody);
  const finished = (outcome: string) =>
    parts.records.finished(request, { source: source.name, outcome, startedAtMs, drafts });
  await failpoint('web.verified');
  try {
    const { duplicate } = await acceptDrafts(parts.receiver, {
      source: source.name,
      provider: source.provider.name,
      drafts,
      headers,
      body: delivery.body,
    });
    finished(duplicate ? 'duplicate' : 'accepted');
    const acceptedAnswer = acceptedAnswerOf(source.provider, delivery, drafts);
    return acceptedAnswer ? sendAnswer(reply, acceptedAnswer) : { ok: true, duplicate };
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const { message: reason } = error;
    parts.log.warn({ reqId: request.id, source: source.name, reason }, 'unavailable');
    finished('unavailable');
    return sendUnavailable(reply, source.provider);
  }
}

function rejectDelivery(
  parts: Webhooks,
  request: FastifyRequest,
  reply: FastifyReply,
  { source, delivery }: Arrival,
  rejection: Rejection,
) {
  parts.records.rejected(request, source, delivery, rejection);
  // Without the provider's key the signature may be right. A 401 would lose the event at providers for which a 4xx is final
  // (e.g. SNS); after a 503 all providers try again.
  if (rejection.reason === 'key_unavailable') return sendUnavailable(reply, source.provider);
  return sendError(reply, 401, 'invalid_signature');
}

/** Some providers disable a webhook after a 404: only a name that was never a source gets 404. */
function answerSourceless(parts: Webhooks, request: FastifyRequest, reply: FastifyReply) {
  const name = nameOf(request);
  const provider = parts.waiting.get(name) ?? findProvider(name);
  const isKnown = provider ? true : parts.storedSources.has(name);
  if (isKnown === false) {
    parts.metrics.countRequest('unknown', 'not_found');
    return sendError(reply, 404, 'not_found');
  }
  parts.metrics.countRequest(isKnown ? name : 'unknown', isKnown ? 'no_secret' : 'unavailable');
  if (isKnown) parts.records.unread(request, name, 'no_secret', null);
  return sendUnavailable(reply, provider);
}

/** Answers errors outside the receiver, e.g. a body that is too large. */
function handleError(parts: Webhooks, error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const source = sourceOf(parts, request);
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (source && status === 413) {
    parts.metrics.countRequest(source.name, 'too_large');
    const detail = `${bodyLimitOfSource(parts, source)} bytes are allowed`;
    parts.records.unread(request, source.name, 'too_large', detail);
  }
  if (!source || errorCodes[status]) return sendErrorOf(error, parts.log, reply);
  const { text } = describeError(error);
  parts.log.error({ reqId: request.id, source: source.name, error: text }, 'the request failed');
  return sendUnavailable(reply, source.provider);
}

function sendHandshake(
  parts: Webhooks,
  request: FastifyRequest,
  reply: FastifyReply,
  { source, startedAtMs }: Arrival,
  answer: HandshakeAnswer,
) {
  parts.records.finished(request, { source: source.name, outcome: 'handshake', startedAtMs, drafts: [] });
  const sent = sendAnswer(reply, answer);
  if (answer.afterwards) {
    const log = parts.log.child({ reqId: request.id, source: source.name });
    parts.followUps.start(log, answer.afterwards);
  }
  return sent;
}

function sendAnswer(
  reply: FastifyReply,
  { status, contentType, body, headers = {} }: HandshakeAnswer,
): FastifyReply {
  return reply.code(status).headers(headers).type(contentType).send(body);
}

/** Asks the provider to try again later. @param provider undefined: sends the usual status, 503 */
function sendUnavailable(reply: FastifyReply, provider: Provider | undefined): FastifyReply {
  const status = unavailableStatusOf(provider);
  return sendError(reply.header('retry-after', String(retryAfterSeconds)), status, 'unavailable');
}

function sourceOf({ sources }: Webhooks, request: FastifyRequest): Source | undefined {
  return sources.get(nameOf(request));
}

/** Empty if no route matches. */
function nameOf({ params }: FastifyRequest): string {
  return (params as { source?: string }).source ?? '';
}

function bodyLimitOfSource({ bodyLimitBytes }: Webhooks, source: Source | undefined): number {
  return source ? bodyLimitOf(source.provider, bodyLimitBytes) : bodyLimitBytes;
}
