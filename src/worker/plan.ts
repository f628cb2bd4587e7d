// Decides, before any transaction is open, what an event needs: which handlers, with which payload and entity.
import { PermanentError } from '../errors.ts';
import type { StoredEvent } from '../events/event.ts';
import { type Handler, type HandlerEvent, handlersFor } from '../handlers/handler.ts';
import { isAsynchronous, validatePayload } from '../handlers/schema.ts';

export interface PlannedRun {
  handler: Handler;
  handlerEvent: HandlerEvent;
  /** Validated by the handler's schema. */
  payload: unknown;
  /** null: neither serialised nor ordered. */
  entity: string | null;
}

/** The handler of the event that has `concurrency`. */
export interface HandlerLimit {
  handlerName: string;
  /** Its `concurrency`: the lanes that it has in the whole cluster. */
  maxConcurrent: number;
}

export type Plan =
  | { kind: 'run'; runs: readonly PlannedRun[]; limit?: HandlerLimit | undefined }
  /** A schema is asynchronous: the attempt awaits `validate` within its time limit, before its transaction is open. */
  | { kind: 'unvalidated'; validate: () => Promise<readonly PlannedRun[]>; limit?: HandlerLimit | undefined }
  | { kind: 'ignore'; reason: string }
  | { kind: 'reject'; error: unknown };

/** The runs of a plan; none if the event is ignored or rejected, or its payload is not validated yet. */
export function runsOf(plan: Plan): readonly PlannedRun[] {
  return plan.kind === 'run' ? plan.runs : [];
}

/** The lane without which no handler of the event may start. */
export function limitOf(plan: Plan): HandlerLimit | undefined {
  return plan.kind === 'run' || plan.kind === 'unvalidated' ? plan.limit : undefined;
}

/** The lanes of each handler with `concurrency`, by its name. */
export function lanesOf(handlers: readonly Handler[]): Map<string, number> {
  const limits = handlers.flatMap((handler) => limitOfHandler(handler) ?? []);
  return new Map(limits.map(({ handlerName, maxConcurrent }) => [handlerName, maxConcurrent]));
}

const maxEntityLength = 255;

/** Never throws: what a schema or an `entity` function throws becomes a rejection. */
export function planEvent(handlers: readonly Handler[], event: StoredEvent): Plan {
  const matching = handlersFor(handlers, event);
  const { payload, isReadable } = readPayload(event);
  if (matching.length === 0) {
    // Unreadable and unknown is not "nobody wants it": its topic was in the body. An operator has to look.
    if (!isReadable && event.topic === 'unknown') return { kind: 'reject', error: unreadable(event) };
    return { kind: 'ignore', reason: `no handler for ${event.provider} ${event.topic}` };
  }
  const handlerEvent: HandlerEvent = {
    id: event.eventId,
    source: event.source,
    provider: event.provider,
    topic: event.topic,
    receivedAt: event.receivedAt,
    occurredAt: event.occurredAt,
    attempt: event.failures + 1,
    headers: event.headers,
    rawBody: event.rawBody,
  };
  const readPayloads = () => matching.map((handler) => validate(handler, payload, isReadable, event));
  const planRuns = (payloads: readonly unknown[]) =>
    matching.map((handler, index): PlannedRun => {
      const valid = payloads[index];
      return { handler, handlerEvent, payload: valid, entity: entityOf(handler, valid, handlerEvent) };
    });
  const limit = matching.map(limitOfHandler).find((one) => one !== undefined);
  const unvalidated: Plan = {
    kind: 'unvalidated',
    limit,
    validate: async () => planRuns(await Promise.all(readPayloads())),
  };
  if (matching.some((handler) => handler.payload && isAsynchronous(handler.payload))) return unvalidated;
  try {
    const payloads = readPayloads();
    // Seen for the first time: this answer is dropped, since the schema may not run before the attempt.
    if (payloads.some((valid) => valid instanceof Promise)) return unvalidated;
    return { kind: 'run', runs: planRuns(payloads), limit };
  } catch (error) {
    return { kind: 'reject', error };
  }
}

function limitOfHandler({ name, concurrency }: Handler): HandlerLimit | undefined {
  return name === undefined || concurrency === undefined
    ? undefined
    : { handlerName: name, maxConcurrent: concurrency };
}

/** What jsonb could not hold may still be JSON: a NUL, a lone surrogate. */
function readPayload(event: StoredEvent): { payload: unknown; isReadable: boolean } {
  if (event.payloadError === null) return { payload: event.payload, isReadable: true };
  if (event.payloadError === 'too_deep' || !event.rawBody) return { payload: null, isReadable: false };
  try {
    return { payload: JSON.parse(event.rawBody.toString('utf8')), isReadable: true };
  } catch {
    return { payload: null, isReadable: false }; // payloadError says why; a handler without a schema gets the bytes
  }
}

function validate(handler: Handler, payload: unknown, isReadable: boolean, event: StoredEvent): unknown {
  if (!handler.payload) return payload;
  if (!isReadable) throw unreadable(event);
  return validatePayload(handler.payload, payload);
}

function unreadable(event: StoredEvent): PermanentError {
  return new PermanentError(`the body could not be read (${event.payloadError}); its bytes are in raw_body`);
}

function entityOf(handler: Handler, payload: unknown, event: HandlerEvent): string | null {
  const entity = handler.entity?.(payload, event) ?? null;
  if (entity === null) return null;
  if (
    typeof entity !== 'string' ||
    entity.length === 0 ||
    entity.length > maxEntityLength ||
    entity.includes('\0')
  ) {
    throw new PermanentError(`entity() must return a text of 1 to ${maxEntityLength} characters, or nothing`);
  }
  return entity;
}
