// defineHandler, the choice of the handlers for an event, and the loading of the team's module.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { QueryResult, Row } from '../database/rows.ts';
import { CommandError, ConfigError, describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

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

/** The transaction that also marks the event PROCESSED. Refuses BEGIN, COMMIT, ROLLBACK and session settings. */
export interface HandlerTransaction {
  query<R extends Row = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>>;
}

export interface HandlerContext<P> {
  event: HandlerEvent;
  /** Validated by the handler's schema; numbers beyond 2^53 lose precision, as in JSON.parse. */
  payload: P;
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

/** A zod schema, as far as Postbell uses it: zod's own type would refuse a schema of another minor version of zod. */
export interface PayloadSchema<Output = unknown> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: Output }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
}

/** What a schema makes of a payload that matches. */
export type PayloadOf<S extends PayloadSchema> = S extends PayloadSchema<infer Output> ? Output : never;

export interface Handler<S extends PayloadSchema = PayloadSchema> {
  provider: string;
  /** Only events of this source. Default: every source of the provider. */
  source?: string;
  /** Exact (`invoice.paid`), a prefix (`invoice.*`), everything (`*`), or a list of these. */
  topic: string | readonly string[];
  /** An event whose payload does not match is a dead letter at once. Default: every payload matches. */
  payload?: S;
  /** Names the thing that the event is about. Events of one entity run one at a time; `whenStale` decides about older ones. */
  entity?(payload: PayloadOf<S>, event: HandlerEvent): string | null | undefined;
  /** For an event older than the last one applied to its entity; default `ignore`: IGNORED as `stale`. */
  whenStale?: 'ignore' | 'handle';
  /**
   * `shared` (default): while events wait, handlers without `entity` run one after another in one transaction, each
   * behind its own savepoint: a failure rolls back only its own event. The events share `now()`, their effects are
   * committed together, and their locks are held up to 20 ms longer, plus the run of the last handler.
   * `own`: a transaction for each event. Choose it for a handler that calls other systems, takes long, or locks rows
   * that others need.
   */
  transaction?: 'shared' | 'own';
  /**
   * The team's code. Returns → PROCESSED. Throws PermanentError → FAILED. Throws Later → deferred.
   * Throws another error → retried with back-off, FAILED on the 5th failure (MAX_ATTEMPTS).
   */
  handle(context: HandlerContext<PayloadOf<S>>): Promise<unknown>;
  /** Many events in one transaction; not together with `entity`. If it throws, the events run one by one through `handle`. */
  batch?(context: BatchContext<PayloadOf<S>>): Promise<unknown>;
}

/** Gives `handle` the type of its schema. @throws TypeError for a handler that cannot run */
export function defineHandler<S extends PayloadSchema = PayloadSchema>(handler: Handler<S>): Handler {
  const problem = handlerProblem(handler);
  if (problem) throw new TypeError(`defineHandler: ${problem}`);
  return handler as unknown as Handler;
}

function handlerProblem(value: unknown): string | undefined {
  const handler = value as Partial<Handler> | null;
  if (typeof handler !== 'object' || handler === null)
    return 'a handler is an object, made by defineHandler({ … })';
  if (typeof handler.provider !== 'string') return 'provider is missing, e.g. provider: "stripe"';
  const topics = [handler.topic].flat();
  if (!topics.length || topics.some((topic) => typeof topic !== 'string' || !/^[^*]*\*?$/.test(topic))) {
    return 'topic must be exact ("invoice.paid"), a prefix ("invoice.*"), "*", or a list of these';
  }
  if (handler.transaction !== undefined && !['shared', 'own'].includes(handler.transaction))
    return 'transaction must be "shared" or "own"';
  if (typeof handler.handle !== 'function') return 'handle({ event, payload, tx, log, signal }) is missing';
  if (handler.batch && handler.entity)
    return 'batch and entity exclude each other: entities run one at a time';
  return undefined;
}

function matchesTopic(patterns: string | readonly string[], topic: string): boolean {
  return [patterns]
    .flat()
    .some((pattern) => (pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern));
}

/** The handlers that match the event, in the order of the team's list. */
export function handlersFor(
  handlers: readonly Handler[],
  event: { provider: string; source: string; topic: string },
): Handler[] {
  return handlers.filter(
    (handler) =>
      handler.provider === event.provider &&
      (handler.source === undefined || handler.source === event.source) &&
      matchesTopic(handler.topic, event.topic),
  );
}

/** Path of the module that POSTBELL_HANDLERS names, or of the default module; undefined when neither exists. */
export function findHandlersModule(setting: string | undefined, folder: string): string | undefined {
  if (setting) return resolve(folder, setting);
  return ['handlers/index.ts', 'handlers/index.js']
    .map((name) => resolve(folder, name))
    .find((path) => existsSync(path));
}

interface HandlersModule {
  default?: unknown;
  handlers?: unknown;
}

/** The exports of a bundler's CommonJS, `default` among them, are inside Node's `default`. */
function listIn(module: unknown): unknown {
  const { handlers, default: list } = (module ?? {}) as HandlersModule;
  return [handlers, list].find(Array.isArray);
}

/**
 * Loads the handlers: the module's default export, or its export `handlers`, is the list.
 * @throws ConfigError naming every wrong entry
 */
export async function loadHandlers(modulePath: string): Promise<Handler[]> {
  if (!existsSync(modulePath)) {
    throw new ConfigError([`POSTBELL_HANDLERS: there is no file ${modulePath}`]);
  }
  let module: HandlersModule;
  try {
    module = (await import(pathToFileURL(modulePath).href)) as HandlersModule;
  } catch (error) {
    throw new CommandError(`the handlers in ${modulePath} could not be loaded: ${describeError(error).text}`);
  }
  const list = listIn(module) ?? listIn(module.default);
  if (!Array.isArray(list)) {
    throw new ConfigError([`${modulePath} must export its handlers as a list: export default [ … ]`]);
  }
  const problems = list.flatMap((handler, index) => {
    const problem = handlerProblem(handler);
    return problem ? [`${modulePath}, handler ${index + 1}: ${problem}`] : [];
  });
  if (problems.length) throw new ConfigError(problems);
  return list as Handler[];
}
