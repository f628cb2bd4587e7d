// `postbell/fetch`: the webhooks as a handler from Request to Response, for Next, Hono and others on Node.
import { openEmbeddedInbox } from './assembly/embedding.ts';
import type { Embedded, FetchHandler, InboxEmbeddingOptions } from './assembly/embedding-types.ts';
import { createFetchHandler } from './http/fetch-handler.ts';

export interface WebhookHandler extends Embedded {
  /**
   * Answers every request that it gets; the last part of the path is the source. A request whose body was read before is
   * answered 500. Never rejects.
   */
  handler: FetchHandler;
  /** The metrics of the receiver, as a text for Prometheus. */
  metrics(): Promise<string>;
}

/** Opens the receiver; its handler answers 503 until the database was reached. @throws ConfigError */
export function createWebhookHandler(options: InboxEmbeddingOptions = {}): WebhookHandler {
  const { answerRequest, ready, metrics, close } = openEmbeddedInbox(options);
  return { handler: createFetchHandler(answerRequest), ready, metrics, close };
}
