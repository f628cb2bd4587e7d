// Why a recovery cannot go on, in words for the operator.

/** The message names the remedy, and never holds a key, a query or a part of an answer. */
export class RecoverError extends Error {
  /** The status that was answered, where the answer was refused for it. */
  readonly status: number | undefined;
  constructor(message: string, options: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.name = 'RecoverError';
    this.status = options.status;
  }
}
