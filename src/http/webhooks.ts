// The webhook route: verify, hand over to the receiver, answer once it is committed. Never runs a handler.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeError } from '../errors.ts';
import { failpoint, isArmed } from '../failpoint.ts';
import { type Logger, logOfHotLines } from '../logger.ts';
import {
  acceptedAnswerOf,
  answerHandshake,
  bodyLimitOf,
  type Delivery,
  diagnoseRefusal,
  type EventDraft,
  findProvider,
  type HandshakeAnswer,
  handshakeMethods,
  keptHeaders,
  type Provider,
  queryAsForm,
  type Refusal,
  readEvents,
  type Source,
  unavailableStatusOf,
  verifyDelivery,
} from '../providers/index.ts';
import { acceptDrafts } from '../receive/accept.ts';
import { type Receiver, UnavailableError } from '../receive/receiver.ts';
import type { RejectionLog } from '../receive/rejections.ts';
import type { StoredSources } from '../receive/stored-sources.ts';
import { errorCodes, refuse } from './error-responses.ts';
import type { Metrics } from './metrics.ts';
import { createHandovers, type HandoverDeps } from './secret-handover.ts';

export interface WebhookDeps extends HandoverDeps {
  receiver: Receiver;
  storedSources: Pick<StoredSources, 'has'>;
  rejections: RejectionLog;
  metrics: Metrics;
  log: Logger;
  /** As BODY_LIMIT_BYTES. */
  bodyLimitBytes: number;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
  now?: () => Date;
}

const noBody = Buffer.alloc(0);
const retryAfterSeconds = 5;
/** Of Postgres. */
const maxInteger = 2 ** 31 - 1;
/** Errands that may be under way at a time, see `HandshakeAnswer.afterwards`. */
const maxErrands = 10;

export function registerWebhooks(app: FastifyInstance, deps: WebhookDeps): void {
  const deliveries = logOfHotLines(deps.log);
  const route = {
    method: app.supportedMethods,
    onRequest: refuseEarly,
    errorHandler: answerError,
    handler: receive,
    ...(isArmed && { onResponse: async () => failpoint('web.after-reply') }),
  };
  app.route({ ...route, url: '/api/webhooks/:source' });
  app.route({ ...route, url: '/webhooks/:source' });
  const answerHandover = createHandovers(deps);
  const errands = new Set<Promise<void>>();
  app.addHook('onClose', () => Promise.all(errands));

  /** What can be refused before a byte of the body is read. */
  async function refuseEarly(request: FastifyRequest, reply: FastifyReply) {
    const source = sourceOf(request);
    if (!source)
      return deps.waiting.get(nameOf(request))?.handover ? undefined : refuseSourceless(request, reply);
    const methods = ['POST', ...handshakeMethods(source)];
    if (!methods.includes(request.method)) {
      deps.metrics.countRequest(source.name, 'method_not_allowed');
      return refuse(reply.header('allow', methods.join(', ')), 405, 'method_not_allowed');
    }
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
      // Never inflated: the signature is over the bytes as sent, and a small bomb grows to gigabytes.
      deps.metrics.countRequest(source.name, 'unsupported_encoding');
      return refuse(reply.header('connection', 'close'), 415, 'unsupported_encoding');
    }
    // The bytes are what is signed: Fastify would refuse a signed delivery whose type it cannot read.
    // `headersDistinct`, which verifying and storing read, is made of the raw headers and keeps it.
    delete request.raw.headers['content-type'];
  }

  async function receive(request: FastifyRequest, reply: FastifyReply) {
    const startedAt = performance.now();
    let delivery: Delivery = {
      method: request.method,
      url: request.raw.url ?? '',
      headers: request.raw.headersDistinct,
      body: Buffer.isBuffer(request.body) ? request.body : noBody,
      receivedAt: deps.now?.() ?? new Date(),
    };
    const handover = answerHandover(nameOf(request), delivery);
    const taken = handover && (await handover);
    if (taken) return sendAnswer(reply, taken);
    const source = sourceOf(request);
    if (!source) return refuseSourceless(request, reply);
    const unsigned = answerHandshake(source, delivery, 'unsigned');
    if (unsigned) return answer(request, reply, source, unsigned, startedAt);
    if (request.method !== 'POST') {
      if (request.method !== 'GET' || !source.provider.sendsByGet) return refuse(reply, 400, 'bad_request');
      delivery = queryAsForm(delivery);
    }

    const verdict = await verifyDelivery(source, delivery);
    if (!verdict.ok) return refuseSignature(request, reply, source, delivery, verdict);
    const signed = answerHandshake(source, delivery, 'verified', verdict.secretIndex);
    if (signed) return answer(request, reply, source, signed, startedAt);

    const headers = keptHeaders(source, delivery);
    const drafts = readEvents(source, delivery, deps.storesRawBody);
    await failpoint('web.verified');
    try {
      const { duplicate } = await acceptDrafts(deps.receiver, {
        source: source.name,
        provider: source.provider.name,
        drafts,
        headers,
        body: delivery.body,
      });
      finish(request, source, duplicate ? 'duplicate' : 'accepted', startedAt, drafts);
      const acceptedAnswer = acceptedAnswerOf(source.provider, delivery, drafts);
      return acceptedAnswer ? sendAnswer(reply, acceptedAnswer) : { ok: true, duplicate };
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      const { message: reason } = error;
      deps.log.warn({ reqId: request.id, source: source.name, reason }, 'unavailable');
      finish(request, source, 'unavailable', startedAt, drafts);
      return refuseForNow(reply, source.provider);
    }
  }

  function sourceOf(request: FastifyRequest): Source | undefined {
    return deps.sources.get(nameOf(request));
  }

  /** A 404 ends webhooks at some providers: it is for a name that never was a source, once that is known. */
  function refuseSourceless(request: FastifyRequest, reply: FastifyReply) {
    const name = nameOf(request);
    const provider = deps.waiting.get(name) ?? findProvider(name);
    const isKnown = provider ? true : deps.storedSources.has(name);
    if (isKnown === false) {
      deps.metrics.countRequest('unknown', 'not_found');
      return refuse(reply, 404, 'not_found');
    }
    deps.metrics.countRequest(isKnown ? name : 'unknown', isKnown ? 'no_secret' : 'unavailable');
    if (isKnown) recordUnread(request, name, 'no_secret', null);
    return refuseForNow(reply, provider);
  }

  /** What failed before or beside the receiver; the rest is told by the server's own handler. */
  function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply) {
    const source = sourceOf(request);
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (!source) throw error;
    if (status === 413) {
      const { bodyLimitBytes } = deps;
      deps.metrics.countRequest(source.name, 'too_large');
      const allowed = `${bodyLimitOf(source.provider, bodyLimitBytes)} bytes are allowed`;
      recordUnread(request, source.name, 'too_large', allowed);
    }
    if (errorCodes[status]) throw error;
    deps.log.error(
      { reqId: request.id, source: source.name, error: describeError(error).text },
      'the request failed',
    );
    return refuseForNow(reply, source.provider);
  }

  /** For `doctor`: a request whose body was not read to its end. */
  function recordUnread(request: FastifyRequest, source: string, reason: string, detail: string | null) {
    deps.rejections.record({
      source,
      reason,
      detail,
      requestId: request.id,
      receivedAt: deps.now?.() ?? new Date(),
      bodyBytes: Math.min(declaredBytesOf(request), maxInteger),
    });
  }

  function refuseSignature(
    request: FastifyRequest,
    reply: FastifyReply,
    source: Source,
    delivery: Delivery,
    refusal: Refusal,
  ) {
    const { reason, detail = null } = refusal;
    deps.metrics.countRequest(source.name, 'invalid_signature');
    deps.metrics.countSignatureFailure(source.name, reason);
    const rejected = {
      source: source.name,
      reason,
      detail,
      requestId: request.id,
      receivedAt: delivery.receivedAt,
      bodyBytes: delivery.body.length,
    };
    deps.rejections.record(rejected, () => diagnoseRefusal(source, delivery, refusal, deps.sources.values()));
    // Nobody can say whether the signature is right while the provider's key cannot be had. A 401 would lose the event at
    // senders that take any 4xx for the last word (SNS does); a 503 makes all of them try again.
    if (reason === 'key_unavailable') return refuseForNow(reply, source.provider);
    return refuse(reply, 401, 'invalid_signature');
  }

  function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    source: Source,
    handshakeAnswer: HandshakeAnswer,
    startedAt: number,
  ) {
    finish(request, source, 'handshake', startedAt, []);
    const sent = sendAnswer(reply, handshakeAnswer);
    if (handshakeAnswer.afterwards) runErrand(request, source, handshakeAnswer.afterwards);
    return sent;
  }

  /** Never waited for by an answer, only by the shutdown. */
  function runErrand(request: FastifyRequest, source: Source, errand: () => Promise<string>) {
    const log = deps.log.child({ reqId: request.id, source: source.name });
    if (errands.size >= maxErrands) return log.error('too many confirmations at once; have it sent again');
    const running = errand().then(
      (done) => log.info(done),
      (error) => log.error({ error: describeError(error).text }, 'a confirmation failed; have it sent again'),
    );
    errands.add(running);
    void running.finally(() => errands.delete(running));
  }

  function sendAnswer(
    reply: FastifyReply,
    { status, contentType, body, headers = {} }: HandshakeAnswer,
  ): FastifyReply {
    return reply.code(status).headers(headers).type(contentType).send(body);
  }

  function finish(
    request: FastifyRequest,
    source: Source,
    outcome: string,
    startedAt: number,
    events: readonly EventDraft[],
  ) {
    const ms = performance.now() - startedAt;
    deps.metrics.countRequest(source.name, outcome);
    deps.metrics.observeAck(source.name, ms / 1_000);
    const first = events[0];
    deliveries.info(
      {
        reqId: request.id,
        source: source.name,
        outcome,
        ...(first ? { eventId: first.eventId, topic: first.topic } : {}),
        ...(events.length > 1 ? { events: events.length } : {}),
        ms: Math.round(ms * 10) / 10,
      },
      'delivery',
    );
  }
}

function nameOf(request: FastifyRequest): string {
  return (request.params as { source: string }).source;
}

function declaredBytesOf({ headers }: FastifyRequest): number {
  return Number(headers['content-length']) || 0;
}

/** The provider tries again later. @param provider undefined: of the name's events nobody knows whose they are */
function refuseForNow(reply: FastifyReply, provider: Provider | undefined) {
  const status = unavailableStatusOf(provider);
  return refuse(reply.header('retry-after', String(retryAfterSeconds)), status, 'unavailable');
}
