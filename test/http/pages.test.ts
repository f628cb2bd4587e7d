// Pages stand beside the webhooks: each has its own parser, its own errors and its own not-found response.
import type { FastifyInstance } from 'fastify';
import t, { type Test } from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { openRoute } from '../support/route.ts';

const { stripe } = providers;
const source = makeSource(stripe, stripe.secret.generate().secret);
const url = 'http://localhost/webhooks/stripe';

/** A page with Fastify's usual parser of JSON. */
async function notes(app: FastifyInstance): Promise<void> {
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) =>
    reply.code(error.statusCode ?? 500).send({ page: 'notes', message: error.message }),
  );
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ page: 'notes' }));
  app.post('/', async (request) => ({ read: request.body }));
}

function openBoth(t: Test) {
  const route = openRoute(t, source);
  route.app.register(notes, { prefix: '/notes' });
  const json = { 'content-type': 'application/json' };
  return {
    ...route,
    postText: async (path: string, body: string, headers: Record<string, string> = json) => {
      const answer = await route.ask(path, { method: 'POST', headers, body });
      return { status: answer.status, body: await answer.json() };
    },
  };
}

t.test('a page reads JSON while the webhooks read bytes', async (t) => {
  const { post, postText, accepted } = openBoth(t);
  t.strictSame(await postText('/notes', '{"a":1}'), { status: 200, body: { read: { a: 1 } } });
  const signed = signDelivery(source, { topic: 'invoice.paid', now: new Date(), url });
  t.equal((await post(signed)).status, 200);
  t.equal(accepted(), 1);
  const odd = { ...signed, headers: { ...signed.headers, 'content-type': 'x/y; charset=none' } };
  t.equal((await post(odd)).status, 200, 'of whatever type the body claims to be');
});

t.test('each has its own errors', async (t) => {
  const { postText } = openBoth(t);
  const ours = (error: string) => ({ error, requestId: /^[0-9a-f-]{36}$/ });
  t.match(await postText('/notes', '{"a":'), { status: 400, body: { page: 'notes' } });
  t.match(await postText('/notes', 'a', { 'content-type': 'x/y' }), { status: 415, body: { page: 'notes' } });
  t.match(await postText('/notes/none', '{}'), { status: 404, body: { page: 'notes' } });
  t.match(await postText('/webhooks/stripe', '{"a":'), { status: 401, body: ours('invalid_signature') });
  for (const path of ['/webhooks', '/webhooks/stripe/none', '/api/webhooks/stripe/none', '/none'])
    t.match(await postText(path, '{"a":'), { status: 404, body: ours('not_found') }, path);
});

t.test('a method that a source does not take is told which it takes, on both addresses', async (t) => {
  const { ask } = openBoth(t);
  for (const prefix of ['/webhooks', '/api/webhooks']) {
    const answer = await ask(`${prefix}/stripe`, { method: 'PUT', body: '{"a":' });
    t.equal(answer.status, 405);
    t.equal(answer.headers.get('allow'), 'POST');
    t.match(await answer.json(), { error: 'method_not_allowed' });
  }
});
