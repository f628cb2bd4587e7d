// defineHandler, its types and checks, and the choice of the handlers for an event.
import type { QueryResult, Row } from '../database/rows.ts';
import type { Logger } from '../logger.ts';
import type { KnownTopics } from './known-topics.ts';
import { isStandardSchema, type SchemaOutput, type StandardSchema } from './schema.ts';

/** The event as a handler sees it. */
export interface HandlerEvent {
  /** The provider's id: use it as the idempotency key for calls to other systems. */
  id: string;
  source: string;
  provider: string;
  topic: string;
  receivedAt: Date;
  /** The provider's own time; null if the provider sends none. */
  occurredAt: Date | null;
  /** 1 for the first attempt. */
  attempt: number;
  /** The stored headers, chosen by an allow-list. */
  headers: Record<string, string>;
  /** The exact bytes of the body, if they were stored (see STORE_RAW_BODY). */
  rawBody: Buffer | null;
}

/** The answer to a statement, as `pg` gives it. */
export interface HandlerResult<R> extends QueryResult<R> {
  /** The columns, with the OID of each type. */
  fields: { name: string; tableID: number; columnID: number; dataTypeID: number; format: string }[];
}

/** A statement as `pg` takes it. Its other options (`rows`, `portal`, `binary`) are refused. */
export interface HandlerStatement {
  text: string;
  values?: readonly unknown[] | undefined;
  /** Prepares the statement under this name, once per connection. Postbell puts a prefix before it. */
  name?: string | undefined;
  /** `array`: each row is a list of values instead of an object. */
  rowMode?: 'array' | undefined;
  /** Parsers of values by type, instead of pg's own. */
  types?: { getTypeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown } | undefined;
}

export type HandlerCallback<R> = (error: Error | null, result: HandlerResult<R>) => void;

/**
 * The transaction that also marks the event PROCESSED, as a client of `pg` that ORMs take (docs/orms.md). BEGIN, COMMIT and
 * ROLLBACK become a savepoint inside it. Rejects with PermanentError: a COMMIT or ROLLBACK without its BEGIN, isolation levels,
 * session settings. Throws PermanentError for a cursor or a COPY stream.
 */
export interface HandlerTransaction {
  query<R extends Row = Row>(
    statement: string | HandlerStatement,
    values?: readonly unknown[],
  ): Promise<HandlerResult<R>>;
  query<R extends Row = Row>(statement: string | HandlerStatement, callback: HandlerCallback<R>): void;
  query<R extends Row = Row>(
    statement: string | HandlerStatement,
    values: readonly unknown[] | undefined,
    callback: HandlerCallback<R>,
  ): void;
  /** Does nothing, for ORMs that give a client back to its pool: the transaction is Postbell's. */
  release(): void;
}

export interface HandlerContext<P> {
  event: HandlerEvent;
  /** Validated by the handler's schema; numbers beyond 2^53 lose precision, as in JSON.parse. */
  payload: P;
  /** The body's bytes as received where they are kept (STORE_RAW_BODY); else the payload's JSON text, no number rounded. */
  readBody(): Promise<Buffer>;
  tx: HandlerTransaction;
  log: Logger;
  /** Aborted at the time-out and when the worker must stop: pass it to fetch. */
  signal: AbortSignal;
}

export interface BatchContext<P> {
  items: readonly { event: HandlerEvent; payload: P }[];
  tx: HandlerTransaction;
  log: Logger;
  signal: AbortSignal;
}

/** An editor completes the known names; another text compiles. */
type OtherText = string & {};
export type HandlerProvider = keyof KnownTopics | '*' | OtherText;
/** The topics that the provider is known to send, `*`, and every other text: an exact topic or a prefix. */
export type HandlerTopic<P extends string> =
  | (P extends keyof KnownTopics ? KnownTopics[P] : never)
  | '*'
  | OtherText;

export interface Handler<S extends StandardSchema = StandardSchema, P extends HandlerProvider = string> {
  /**
   * Names the handler for `postbell pause --handler <name>` and `concurrency`: 1 to 100 letters, digits, `.`, `_` or `-`. A worker does not
   * start with two handlers of one name. Default: none.
   */
  name?: string;
  /** The provider's name, e.g. `stripe`; `*`: every provider. A worker does not start with an unknown name. */
  provider: P;
  /** Only events of this source. Default: every source of the provider. */
  source?: string;
  /** Exact (`invoice.paid`), a prefix (`invoice.*`), everything (`*`), or a list of these. */
  topic: HandlerTopic<P> | readonly HandlerTopic<P>[];
  /**
   * A schema of zod (3.24 or newer), valibot, arktype, or another library of Standard Schema. An event whose payload does
   * not match is a dead letter at once. Default: every payload matches.
   */
  payload?: S;
  /** Names the thing that the event is about. Events of one entity run one at a time; `whenStale` decides about older ones. */
  entity?(payload: SchemaOutput<S>, event: HandlerEvent): string | null | undefined;
  /** For an event older than the last one applied to its entity; default `ignore`: IGNORED as `stale`. */
  whenStale?: 'ignore' | 'handle';
  /**
   * `shared` (default): while events wait, handlers without `entity` run one after another in one transaction, each
   * behind its own savepoint: a failure rolls back only its own event. The events share `now()`, their effects are
   * committed together, and their locks are held up to 50 ms longer, plus the run of the last handler.
   * `own`: a transaction for each event. Choose it for a handler that calls other systems, takes long, or locks rows
   * that others need.
   */
  transaction?: 'shared' | 'own';
  /**
   * Runs at once at most in all workers together, 1 to 1,000, e.g. because the API behind the handler has a limit; a run of
   * `batch` counts as one. Needs `name`. Such an event always has a transaction of its own, or its batch. Two handlers with
   * `concurrency` may not match the same topic. Default: no limit but the workers' slots.
   */
  concurrency?: number;
  /**
   * The team's code. Returns → PROCESSED. Throws PermanentError → FAILED. Throws Later → deferred.
   * Throws another error → retried with back-off, FAILED on the 5th failure (MAX_ATTEMPTS).
   */
  handle(context: HandlerContext<SchemaOutput<S>>): Promise<unknown>;
  /** Many events in one transaction; not together with `entity`. If it throws, the events run one by one through `handle`. */
  batch?(context: BatchContext<SchemaOutput<S>>): Promise<unknown>;
}

/** Gives `handle` the type of its schema. @throws TypeError for a handler that cannot run */
export function defineHandler<
  S extends StandardSchema = StandardSchema,
  P extends HandlerProvider = HandlerProvider,
>(handler: Handler<S, P>): Handler {
  const problem = handlerProblem(handler);
  if (problem) throw new TypeError(`defineHandler: ${problem}`);
  return handler as unknown as Handler;
}

/** Why it is no handler, with the remedy; undefined where it is. */
export function handlerProblem(value: unknown): string | undefined {
  const handler = value as Partial<Handler> | null;
  if (typeof handler !== 'object' || handler === null)
    return 'a handler is an object, made by defineHandler({ … })';
  if (typeof handler.provider !== 'string') return 'provider is missing, e.g. provider: "stripe"';
  if (
    handler.name !== undefined &&
    (typeof handler.name !== 'string' || !/^[\w.-]{1,100}$/.test(handler.name))
  )
    return 'name must have 1 to 100 letters, digits, ".", "_" or "-"';
  const topics = [handler.topic].flat();
  if (!topics.length || topics.some((topic) => typeof topic !== 'string' || !/^[^*]*\*?$/.test(topic))) {
    return 'topic must be exact ("invoice.paid"), a prefix ("invoice.*"), "*", or a list of these';
  }
  if (handler.payload !== undefined && !isStandardSchema(handler.payload)) {
    return 'payload must be a schema of zod 3.24 or newer, valibot, arktype, or another library of Standard Schema';
  }
  if (handler.transaction !== undefined && !['shared', 'own'].includes(handler.transaction))
    return 'transaction must be "shared" or "own"';
  if (handler.concurrency !== undefined) {
    if (!Number.isInteger(handler.concurrency) || handler.concurrency < 1 || handler.concurrency > 1_000)
      return 'concurrency must be a whole number from 1 to 1000';
    if (handler.name === undefined)
      return 'concurrency needs a name, by which all workers count its runs, e.g. name: "crm-sync"';
  }
  if (typeof handler.handle !== 'function') return 'handle({ event, payload, tx, log, signal }) is missing';
  if (handler.batch && handler.entity)
    return 'batch and entity exclude each other: entities run one at a time';
  return undefined;
}

/** Whether the topic is one of the patterns: exact, a prefix that ends in `*`, or `*`. */
export function matchesTopic(patterns: string | readonly string[], topic: string): boolean {
  return [patterns]
    .flat()
    .some((pattern) => (pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern));
}

/** Whether a topic may match patterns of both lists. */
function topicsOverlap(some: string | readonly string[], others: string | readonly string[]): boolean {
  const isWithin = (topic: string, pattern: string) =>
    pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;
  // If two prefixes have a topic in common, the longer prefix starts with the shorter.
  const overlap = (a: string, b: string) =>
    isWithin(a.replace(/\*$/, ''), b) || isWithin(b.replace(/\*$/, ''), a);
  return [some].flat().some((a) => [others].flat().some((b) => overlap(a, b)));
}

/** Whether an event may match both handlers. */
export function handlersOverlap(a: Handler, b: Handler): boolean {
  return (
    (a.provider === '*' || b.provider === '*' || a.provider === b.provider) &&
    (a.source === undefined || b.source === undefined || a.source === b.source) &&
    topicsOverlap(a.topic, b.topic)
  );
}

/** The handlers that match the event, in the order of the team's list. */
export function handlersFor(
  handlers: readonly Handler[],
  event: { provider: string; source: string; topic: string },
): Handler[] {
  return handlers.filter(
    (handler) =>
      (handler.provider === '*' || handler.provider === event.provider) &&
      (handler.source === undefined || handler.source === event.source) &&
      matchesTopic(handler.topic, event.topic),
  );
}
