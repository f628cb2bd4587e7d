// The web process of every peer: Fastify, the raw body, the signature, then whatever the peer does with the event.
import Fastify from 'fastify';
import { type StripeEvent, verify } from './stripe.ts';

/** @param store fulfilled when the peer is content that the event is kept */
export async function serve(store: (event: StripeEvent, body: Buffer) => Promise<unknown>): Promise<void> {
  const secret = process.env.STRIPE_WEBHOOK_SECRET!;
  const app = Fastify({ keepAliveTimeout: 100_000 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async () => ({ status: 'ok' }));
  app.post('/api/webhooks/stripe', async (request, reply) => {
    const body = request.body as Buffer;
    const event = verify(body, request.headers['stripe-signature'] as string | undefined, secret);
    if (!event) return reply.code(401).send({ error: 'invalid_signature' });
    await store(event, body);
    return { ok: true };
  });
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}
