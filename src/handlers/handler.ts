// What a team writes: defineHandler, and which handlers an event is for.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { z } from 'zod';
import type { QueryResult, Row } from '../database/database.ts';
import { CommandError, ConfigError, describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

/** The event as a handler sees it. */
export interface HandlerEvent {
  /** The provider's id: the idempotency key for calls to the outside. */
  id: string;
  source: string;
  provider: string;
  topic: string;
  receivedAt: Date;
  /** The provider's own time; null where it sends none. */
  occurredAt: Date | null;
  /** 1 for the first attempt. */
  attempt: number;
  /** Kept headers, by allow-list. */
  headers: Record<string, string>;
  /** The exact bytes, where they were kept (see STORE_RAW_BODY). */
  rawBody: Buffer | null;
}

/** The transaction that also marks the event PROCESSED. Refuses BEGIN, COMMIT, ROLLBACK and session settings. */
export interface HandlerTransaction {
  query<R extends Row = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>>;
}

export interface HandlerContext<P> {
  event: HandlerEvent;
  /** Validated by the handler's own schema; numbers beyond 2^53 lose precision, as in JSON.parse. */
  payload: P;
  tx: HandlerTransaction;
  log: Logger;
  /** Aborted at the time-out and when the worker has to stop: pass it to fetch. */
  signal: AbortSignal;
}

export interface BatchContext<P> {
  items: readonly { event: HandlerEvent; payload: P }[];
  tx: HandlerTransaction;
  log: Logger;
  signal: AbortSignal;
}

export interface Handler<S extends z.ZodType = z.ZodType> {
  provider: string;
  /** Narrows it to one named source of the provider. */
  source?: string;
  /** Exact (`invoice.paid`), a prefix (`invoice.*`), everything (`*`), or a list of these. */
  topic: string | readonly string[];
  /** A payload that does not match is a dead letter at once. Default: anything. */
  payload?: S;
  /** What the event is about. Events of one entity run one at a time, and an older one is not run after a newer. */
  entity?(payload: z.output<S>, event: HandlerEvent): string | null | undefined;
  /** What to do with an event older than the last one applied to its entity; default `ignore`. */
  whenStale?: 'ignore' | 'handle';
  /**
   * Quick handlers without `entity` may run one after another in one transaction while work is waiting, each behind a
   * savepoint of its own: one that fails is taken back alone. They share `now()`, and keep their locks up to 20 ms longer.
   * The team's code. Returns → PROCESSED. Throws PermanentError → FAILED. Throws Later → comes back.
   * Any other throw → retried with back-off, FAILED on the 5th failure.
   */
  handle(context: HandlerContext<z.output<S>>): Promise<unknown>;
  /** Many events in one transaction, without `entity`. If it throws, they are run one by one through `handle`. */
  batch?(context: BatchContext<z.output<S>>): Promise<unknown>;
}

/** Gives `handle` the type of its own schema. @throws TypeError for a handler that could never run */
export function defineHandler<S extends z.ZodType = z.ZodUnknown>(handler: Handler<S>): Handler {
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

/** The handlers an event is for, in the order in which the team listed them. */
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

/** The module named by POSTBELL_HANDLERS, or the default place; undefined when there is none. */
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

/** A bundler's CommonJS has its exports, `default` among them, inside of Node's `default`. */
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
