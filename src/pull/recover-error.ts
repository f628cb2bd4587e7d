// Why a recovery cannot go on, in words for the operator.
import type { RecoverFailure } from '../events/recoveries.ts';

/** The message names the remedy, and never holds a key, a query or a part of an answer. */
export class RecoverError extends Error {
  readonly failure: RecoverFailure;
  /** The status that was answered, where the answer was refused for it. */
  readonly status: number | undefined;
  constructor(failure: RecoverFailure, message: string, options: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.name = 'RecoverError';
    this.failure = failure;
    this.status = options.status;
  }
}
