// Answers webhook requests of any HTTP server: verifies, waits for the commit, answers. Never runs a handler. The adapters are
// beside this file: Fastify (`webhooks.ts`), Node (`node-listener.ts`), fetch (`fetch-handler.ts`).
import { describeError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
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
  readDrafts,
  type Source,
  unavailableStatusOf,
  verifyDelivery,
} from '../providers/index.ts';
import { acceptDrafts } from '../receive/accept.ts';
import { type Receiver, UnavailableError } from '../receive/receiver.ts';
import type { StoredSources } from '../receive/stored-sources.ts';
import { BodyTakenError, createBodyReader, type ReadBody } from './body-reader.ts';
import { withCaptures } from './captured-core.ts';
import { createDeliveryRecords, type DeliveryRecords, type DeliveryRecordsDeps } from './delivery-records.ts';
import { errorBody, errorCodes } from './error-responses.ts';
import { createFollowUps, type FollowUps } from './follow-ups.ts';
import { type AnswerHandover, createHandovers, type HandoverDeps } from './secret-handover.ts';

/** A request before its body is read. */
export interface WebhookRequest {
  /** In log lines and error responses. */
  id: string;
  /** Name of the source as in the URL, unchecked. */
  name: string;
  method: string;
  /** Path and query as sent. */
  url: string;
  /** As Node's `headersDistinct`. */
  headers: Delivery['headers'];
  /** The address that the connection comes from; absent where the server does not tell. Called for few requests. */
  peer?: () => string | undefined;
}

/** A complete answer; the adapter adds the headers of every response. */
export interface Answer {
  status: number;
  contentType: string;
  body: string;
  headers?: Record<string, string>;
}

export interface WebhookCore {
  /** The answer to a request whose body need not be read; undefined: read the body, then call `receive`. */
  answerEarly(request: WebhookRequest): Answer | undefined;
  /** Most bytes that this request's body may have. */
  bodyLimitOf(request: WebhookRequest): number;
  /** The total limit of unfinished bodies holds for all requests of this core. */
  readBody: ReadBody;
  /** Resolves with the answer after the commit. An error is for `answerError`. */
  receive(request: WebhookRequest, body: Buffer): Promise<Answer>;
  /** The answer to an error of `readBody` or `receive`. Never throws. */
  answerError(request: WebhookRequest, error: unknown): Answer;
  /** Resolves when all follow-ups of answers have ended. */
  drained(): Promise<void>;
}

export interface WebhookCoreDeps extends HandoverDeps, DeliveryRecordsDeps {
  receiver: Pick<Receiver, 'submit'>;
  storedSources: Pick<StoredSources, 'has'>;
  /** As BODY_LIMIT_BYTES. */
  bodyLimitBytes: number;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
}

/** The parts that all requests share. */
interface Parts extends WebhookCoreDeps {
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

const json = 'application/json; charset=utf-8';
const retryAfterSeconds = 5;

export function createWebhookCore(deps: WebhookCoreDeps): WebhookCore {
  const parts: Parts = {
    ...deps,
    records: createDeliveryRecords(deps),
    followUps: createFollowUps(),
    answerHandover: createHandovers(deps),
  };
  const core: WebhookCore = {
    answerEarly: (request) => answerEarly(parts, request),
    bodyLimitOf: (request) => bodyLimitOfSource(parts, sourceOf(parts, request)),
    readBody: createBodyReader(deps.bodyLimitBytes),
    receive: (request, body) => receive(parts, request, body),
    answerError: (request, error) => answerError(parts, request, error),
    drained: () => parts.followUps.drained(),
  };
  return deps.captures ? withCaptures(core, deps.captures) : core;
}

/** An error response: a code and the request's id. */
export function errorAnswer(
  { id }: Pick<WebhookRequest, 'id'>,
  status: number,
  code: string,
  headers?: Record<string, string>,
): Answer {
  return { status, contentType: json, body: errorBody(code, id), ...(headers && { headers }) };
}

function answerEarly(parts: Parts, request: WebhookRequest): Answer | undefined {
  const source = sourceOf(parts, request);
  if (!source)
    return parts.waiting.get(request.name)?.handover ? undefined : answerSourceless(parts, request);
  const methods = ['POST', ...handshakeMethods(source)];
  if (!methods.includes(request.method)) {
    parts.metrics.countRequest(source.name, 'method_not_allowed');
    return errorAnswer(request, 405, 'method_not_allowed', { allow: methods.join(', ') });
  }
  const encoding = request.headers['content-encoding']?.join(', ').trim().toLowerCase();
  if (encoding !== undefined && encoding !== 'identity') {
    // Never decompressed: the signature covers the sent bytes, and a small body may expand to gigabytes.
    parts.metrics.countRequest(source.name, 'unsupported_encoding');
    return errorAnswer(request, 415, 'unsupported_encoding', { connection: 'close' });
  }
  return undefined;
}

async function receive(parts: Parts, request: WebhookRequest, body: Buffer): Promise<Answer> {
  const startedAtMs = performance.now();
  const { name, method, url, headers } = request;
  let delivery: Delivery = { method, url, headers, body, receivedAt: parts.now?.() ?? new Date() };
  const handover = parts.answerHandover(name, delivery);
  const handoverAnswer = handover && (await handover);
  if (handoverAnswer) return handoverAnswer;
  const source = sourceOf(parts, request);
  if (!source) return answerSourceless(parts, request);
  const unsigned = answerHandshake(source, delivery, 'unsigned');
  if (unsigned) return finishHandshake(parts, request, { source, delivery, startedAtMs }, unsigned);
  if (method !== 'POST') {
    if (method !== 'GET' || !source.provider.sendsByGet) return errorAnswer(request, 400, 'bad_request');
    delivery = queryAsForm(delivery);
  }

  const arrival = { source, delivery, startedAtMs };
  const verdict = await verifyDelivery(source, delivery);
  if (!verdict.ok) return rejectDelivery(parts, request, arrival, verdict);
  const signed = answerHandshake(source, delivery, 'verified', verdict.secretIndex);
  if (signed) return finishHandshake(parts, request, arrival, signed);
  return acceptDelivery(parts, request, arrival);
}

async function acceptDelivery(
  parts: Parts,
  request: WebhookRequest,
  { source, delivery, startedAtMs }: Arrival,
): Promise<Answer> {
  const headers = keptHeaders(source, delivery);
  const drafts = readDrafts(source, delivery, parts.storesRawBody);
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
    return acceptedAnswerOf(source.provider, delivery, drafts) ?? usualAnswer(duplicate);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const { message: reason } = error;
    parts.log.warn({ reqId: request.id, source: source.name, reason }, 'unavailable');
    finished('unavailable');
    return unavailable(request, source.provider);
  }
}

function usualAnswer(duplicate: boolean): Answer {
  return { status: 200, contentType: json, body: JSON.stringify({ ok: true, duplicate }) };
}

function rejectDelivery(
  parts: Parts,
  request: WebhookRequest,
  { source, delivery }: Arrival,
  rejection: Rejection,
): Answer {
  parts.records.rejected(request, source, delivery, rejection);
  // Without the provider's key the signature may be right. A 401 would lose the event at providers for which a 4xx is final
  // (e.g. SNS); after a 503 all providers try again.
  if (rejection.reason === 'key_unavailable') return unavailable(request, source.provider);
  return errorAnswer(request, 401, 'invalid_signature');
}

/** Some providers disable a webhook after a 404: only a name that was never a source gets 404. */
function answerSourceless(parts: Parts, request: WebhookRequest): Answer {
  const { name } = request;
  const provider = parts.waiting.get(name) ?? findProvider(name);
  const isKnown = provider ? true : parts.storedSources.has(name);
  if (isKnown === false) {
    parts.metrics.countRequest('unknown', 'not_found');
    return errorAnswer(request, 404, 'not_found');
  }
  parts.metrics.countRequest(isKnown ? name : 'unknown', isKnown ? 'no_secret' : 'unavailable');
  if (isKnown) parts.records.unread(request, name, 'no_secret', null);
  return unavailable(request, provider);
}

function answerError(parts: Parts, request: WebhookRequest, error: unknown): Answer {
  const source = sourceOf(parts, request);
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (source && status === 413) {
    parts.metrics.countRequest(source.name, 'too_large');
    const detail = `${bodyLimitOfSource(parts, source)} bytes are allowed`;
    parts.records.unread(request, source.name, 'too_large', detail);
  }
  const code = errorCodes[status];
  if (code) return errorAnswer(request, status, code, status === 413 ? { connection: 'close' } : undefined);
  const fields = { reqId: request.id, source: source?.name, error: describeError(error).text };
  if (error instanceof BodyTakenError) {
    parts.metrics.countRequest(source?.name ?? 'unknown', 'body_already_read');
    parts.log.error({ ...fields, remedy: error.remedy }, 'the request failed');
    return errorAnswer(request, 500, 'body_already_read');
  }
  // The sender tries again, and only the log names the cause.
  parts.log.error(fields, 'the request failed');
  return unavailable(request, source?.provider);
}

function finishHandshake(
  parts: Parts,
  request: WebhookRequest,
  { source, startedAtMs }: Arrival,
  { afterwards, ...answer }: HandshakeAnswer,
): Answer {
  parts.records.finished(request, { source: source.name, outcome: 'handshake', startedAtMs, drafts: [] });
  if (afterwards) {
    const log = parts.log.child({ reqId: request.id, source: source.name });
    parts.followUps.start(log, afterwards);
  }
  return answer;
}

/** Asks the provider to try again later. @param provider undefined: sends the usual status, 503 */
function unavailable(request: WebhookRequest, provider: Provider | undefined): Answer {
  const status = unavailableStatusOf(provider);
  return errorAnswer(request, status, 'unavailable', { 'retry-after': String(retryAfterSeconds) });
}

function sourceOf({ sources }: Parts, { name }: WebhookRequest): Source | undefined {
  return sources.get(name);
}

function bodyLimitOfSource({ bodyLimitBytes }: Parts, source: Source | undefined): number {
  return source ? bodyLimitOf(source.provider, bodyLimitBytes) : bodyLimitBytes;
}
