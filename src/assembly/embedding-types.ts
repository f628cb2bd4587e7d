// The public types of embedded Postbell. They lead to no module that names a type of pg, pg-boss or zod: a team's TypeScript
// would check those as well.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../logger.ts';

export interface EmbeddingOptions {
  /** The settings. Default: the process's environment; a `.env` file is the host's affair. PORT and HOST have no effect. */
  env?: Readonly<Record<string, string | undefined>>;
  /** A pino logger. Default: JSON lines on standard output, from LOG_LEVEL on. */
  log?: Logger;
}

export interface InboxEmbeddingOptions extends EmbeddingOptions {
  /**
   * Where the host serves the webhooks, without the source's name. PUBLIC_URL plus this path is the URL that providers sign
   * (Square, Twilio). Default `/api/webhooks`.
   */
  path?: string;
}

/** The end of what the host has started. */
export interface Embedded {
  /**
   * Resolves when the database was reached. Rejects with the remedy if its schema is too old, and if `close` comes before;
   * Postbell logs it and goes on trying, so that nobody has to wait for it.
   */
  readonly ready: Promise<void>;
  /** Finishes what runs, then closes the database pool. Call it once no request or event should start. Never rejects. */
  close(): Promise<void>;
}

/** Resolves when the answer was written, or its connection is gone. Never rejects. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Never rejects. */
export type FetchHandler = (request: Request) => Promise<Response>;
