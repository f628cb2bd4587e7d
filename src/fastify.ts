// `postbell/fastify`: the webhooks as a plugin of the team's own Fastify app.
import type { FastifyInstance } from 'fastify';
import { openEmbeddedInbox } from './assembly/embedding.ts';
import type { InboxEmbeddingOptions } from './assembly/embedding-types.ts';
import { registerWebhooks, webhooks } from './http/webhooks.ts';

export interface PostbellOptions extends Omit<InboxEmbeddingOptions, 'path'> {
  /** Where the webhooks are: `<prefix>/<source>`. Default: `/api/webhooks` and `/webhooks`, as `postbell web` has them. */
  prefix?: string;
}

/**
 * Serves the webhooks with a body parser and error responses of their own; the app's other routes keep theirs. The app's
 * hooks for all routes run for the webhooks too: register those that ask for a login beside this plugin, not above it.
 * Answers 503 until the database was reached. `app.close()` closes it.
 * @throws ConfigError from `app.ready()` and `app.listen()`
 */
export async function postbell(app: FastifyInstance, options: PostbellOptions = {}): Promise<void> {
  const inbox = openEmbeddedInbox({ ...options, path: app.prefix || '/api/webhooks' });
  // A connection that is kept open after its last answer would hold `app.close()` for its keep-alive time-out.
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close');
  });
  // Fastify runs these hooks once the running requests are answered.
  app.addHook('onClose', () => inbox.close());
  if (app.prefix) await webhooks(app, inbox);
  else registerWebhooks(app, inbox.core);
}

export default postbell;
