// What the route answers where it is neither our 200 nor our 401: a key out of reach, a provider's own wording.
import t from 'tap';
import { providers, type Source, signDelivery } from '../../src/providers/index.ts';
import type { Handshake } from '../../src/providers/provider.ts';
import { makeSource } from '../providers/deliveries.ts';
import { openRoute } from '../support/route.ts';
import { waitFor } from '../support/wait.ts';

t.test('while the key of a provider is out of reach, the sender is asked to try again', async (t) => {
  const { shipstation } = providers;
  const pair = shipstation.secret.generate();
  const request = signDelivery(makeSource(shipstation, pair.secret), {
    topic: 'API_TRACK',
    now: new Date(),
    url: 'http://localhost/webhooks/shipstation',
    privateKey: pair.privateKey ?? '',
  });
  const source: Source = {
    ...makeSource(shipstation, 'published'),
    fetchText: () => Promise.reject(new Error('getaddrinfo ENOTFOUND api.shipengine.com')),
  };
  const { post, refusals, accepted } = openRoute(t, source);
  const answer = await post(request);
  t.equal(answer.status, 503, 'a 401 would lose the event at senders that do not repeat after a 4xx');
  t.equal(answer.headers.get('retry-after'), '5');
  t.match(await answer.text(), /^\{"error":"unavailable","requestId":"[^"]+"\}$/);
  t.strictSame(refusals, ['key_unavailable'], 'the operator reads why');
  t.equal(accepted(), 0);
});

t.test('a provider that wants its own words gets them once the event is committed', async (t) => {
  const { xero } = providers;
  const source = makeSource(xero, xero.secret.generate().secret);
  const wish = { topic: 'INVOICE.CREATE', now: new Date(), url: 'http://localhost/webhooks/xero' };
  const { post, accepted } = openRoute(t, source);
  const answer = await post(signDelivery(source, wish));
  t.equal(answer.status, 200);
  t.equal(await answer.text(), '');
  t.equal(accepted(), 1);
});

t.test('a subscription is confirmed after the answer, and the log says whether it was', async (t) => {
  const { 'aws-sns': awsSns } = providers;
  const pair = awsSns.secret.generate();
  const confirmed = Promise.withResolvers<string>();
  const asking = Promise.withResolvers<void>();
  const source: Source = {
    ...makeSource({ ...awsSns, handshakes: [confirmingWith(() => confirmed.promise)] }, pair.secret),
    name: 'aws-sns',
  };
  const request = signDelivery(source, {
    topic: 'orders',
    now: new Date(),
    url: 'http://localhost/webhooks/aws-sns',
    privateKey: pair.privateKey ?? '',
  });
  const { post, logs, accepted } = openRoute(t, source);
  const answer = await post(request);
  t.equal(answer.status, 200, 'while the confirmation is still under way');
  t.equal(accepted(), 0, 'it is no event');
  await asking.promise;
  confirmed.resolve('subscribed to it');
  await waitFor(() => logs.some(({ msg }) => msg === 'subscribed to it'), { what: 'the log line' });

  function confirmingWith(afterwards: () => Promise<string>): Handshake {
    const answer = { status: 200, contentType: 'text/plain', body: '' };
    const errand = () => {
      asking.resolve();
      return afterwards();
    };
    return { method: 'POST', phase: 'verified', answer: () => ({ ...answer, afterwards: errand }) };
  }
});
