// `postbell/node`: the webhooks as a `(req, res)` listener, for Express, Koa and plain node:http.
import { openEmbeddedInbox } from './assembly/embedding.ts';
import type { Embedded, InboxEmbeddingOptions, NodeListener } from './assembly/embedding-types.ts';
import { createNodeListener } from './http/node-listener.ts';

export interface WebhookListener extends Embedded {
  /**
   * Answers every request that it gets; the last part of the path is the source. Mount it before every body parser: a body
   * that was read before is answered 500. Resolves when the answer was written; never rejects.
   */
  listener: NodeListener;
  /** The metrics of the receiver, as a text for Prometheus. */
  metrics(): Promise<string>;
}

/** Opens the receiver; its listener answers 503 until the database was reached. @throws ConfigError */
export function createWebhookListener(options: InboxEmbeddingOptions = {}): WebhookListener {
  const { answerRequest, ready, metrics, close } = openEmbeddedInbox(options);
  return { listener: createNodeListener(answerRequest), ready, metrics, close };
}
