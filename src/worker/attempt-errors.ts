// Reasons for which an attempt ends without an outcome of its handler.

/** Another event of its entity is still inside its transaction. */
export class EntityBusyError extends Error {}

/** The worker stops: the attempt is not the handler's failure. */
export class InterruptedError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'InterruptedError';
  }
}

/**
 * The process ends because of an exception that nobody caught, most likely a handler's. The culprit is known only where
 * the event ran alone; other events are left to be found as lost.
 */
export class CrashError extends Error {
  constructor(cause: unknown) {
    super('an exception was not caught and ended the process', { cause });
    this.name = 'CrashError';
  }
}
