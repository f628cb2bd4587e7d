// Why a recovery cannot go on, in words for the operator.
import type { RecoverFailure } from '../events/recoveries.ts';

/** The message names the remedy, and never holds a key, a query or a part of an answer. */
export class RecoverError extends Error {
  readonly failure: RecoverFailure;
  /** The status that was answered, where the answer was refused for it. */
  readonly status: number | undefined;
  /** The cursor leads nowhere: the next run begins its stretch anew. */
  readonly spoilsCursor: boolean;
  constructor(
    failure: RecoverFailure,
    message: string,
    options: ErrorOptions & { status?: number; spoilsCursor?: boolean } = {},
  ) {
    super(message, options);
    this.name = 'RecoverError';
    this.failure = failure;
    this.status = options.status;
    // A provider may have forgotten the page that its cursor names.
    this.spoilsCursor = options.spoilsCursor ?? [400, 404, 410, 422].includes(options.status ?? 0);
  }
}
