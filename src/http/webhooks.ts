// The webhook route: verify, hand over to the receiver, answer once it is committed. Never runs a handler.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeError } from '../errors.ts';
import type { NewEvent } from '../events.ts';
import { failpoint, isArmed } from '../failpoint.ts';
import { type Logger, logOfHotLines } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import {
  answerHandshake,
  type Delivery,
  diagnoseRefusal,
  type HandshakeAnswer,
  handshakeMethods,
  keptHeaders,
  queryAsForm,
  type Refusal,
  readEvents,
  type Source,
  verifyDelivery,
} from '../providers/index.ts';
import { newJobId } from '../queue/queue.ts';
import { type Receiver, UnavailableError } from '../receive.ts';
import type { RejectionLog } from '../rejections.ts';
import { createHandovers, type HandoverDeps } from './handovers.ts';
import { refuse } from './refusals.ts';

export interface WebhookDeps extends HandoverDeps {
  receiver: Receiver;
  rejections: RejectionLog;
  metrics: Metrics;
  log: Logger;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
  now?: () => Date;
}

const noBody = Buffer.alloc(0);
const retryAfterSeconds = 5;
/** Errands that may be under way at a time, see `HandshakeAnswer.afterwards`. */
const maxErrands = 10;

export function registerWebhooks(app: FastifyInstance, deps: WebhookDeps): void {
  const deliveries = logOfHotLines(deps.log);
  const route = {
    method: app.supportedMethods,
    onRequest: refuseEarly,
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
    if (!source) return deps.waiting.has(nameOf(request)) ? undefined : refuseUnknown(reply);
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
    if (!source) return refuseUnknown(reply);
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
    const events = readEvents(source, delivery, deps.storesRawBody).map(
      (draft): NewEvent => ({
        ...draft,
        source: source.name,
        provider: source.provider.name,
        headers,
        jobId: newJobId(),
      }),
    );
    await failpoint('web.verified');
    try {
      const { duplicate } = await deps.receiver.submit(events, delivery.body);
      finish(request, source, duplicate ? 'duplicate' : 'accepted', startedAt, events);
      const { acceptedAnswer } = source.provider;
      return acceptedAnswer ? sendAnswer(reply, acceptedAnswer) : { ok: true, duplicate };
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      const { message: reason } = error;
      deps.log.warn({ reqId: request.id, source: source.name, reason }, 'unavailable');
      finish(request, source, 'unavailable', startedAt, events);
      return refuseForNow(reply);
    }
  }

  function sourceOf(request: FastifyRequest): Source | undefined {
    return deps.sources.get(nameOf(request));
  }

  function refuseUnknown(reply: FastifyReply) {
    deps.metrics.countRequest('unknown', 'not_found');
    return refuse(reply, 404, 'not_found');
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
    if (reason === 'key_unavailable') return refuseForNow(reply);
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
    events: readonly NewEvent[],
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

function refuseForNow(reply: FastifyReply) {
  return refuse(reply.header('retry-after', String(retryAfterSeconds)), 503, 'unavailable');
}
