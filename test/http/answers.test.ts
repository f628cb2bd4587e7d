// What the route answers where it is neither our 200 nor our 401: a key out of reach, a provider's own wording.
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { type OutgoingRequest, providers, type Source, signDelivery } from '../../src/providers/index.ts';
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
  const { post, rejections, accepted } = openRoute(t, source);
  const answer = await post(request);
  t.equal(answer.status, 503, 'a 401 would lose the event at senders that do not repeat after a 4xx');
  t.equal(answer.headers.get('retry-after'), '5');
  t.match(await answer.text(), /^\{"error":"unavailable","requestId":"[^"]+"\}$/);
  t.strictSame(rejections, ['key_unavailable'], 'the operator reads why');
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

/** An endpoint of SNS whose every delivery asks for a follow-up, and a delivery to it. */
function sourceWithFollowUp(afterwards: () => Promise<string>): { source: Source; request: OutgoingRequest } {
  const { 'aws-sns': awsSns } = providers;
  const pair = awsSns.secret.generate();
  const answer = { status: 200, contentType: 'text/plain', body: '', afterwards };
  const handshakes: Handshake[] = [{ method: 'POST', phase: 'verified', answer: () => answer }];
  const source: Source = { ...makeSource({ ...awsSns, handshakes }, pair.secret), name: 'aws-sns' };
  const url = 'http://localhost/webhooks/aws-sns';
  const privateKey = pair.privateKey ?? '';
  return { source, request: signDelivery(source, { topic: 'orders', now: new Date(), url, privateKey }) };
}

t.test('a subscription is confirmed after the answer, and the log says whether it was', async (t) => {
  const followUps = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  let started = 0;
  const { source, request } = sourceWithFollowUp(() => followUps[started++]?.promise ?? Promise.resolve(''));
  const { post, logs, accepted } = openRoute(t, source);
  t.equal((await post(request)).status, 200, 'while the confirmation is still under way');
  t.equal((await post(request)).status, 200);
  t.equal(accepted(), 0, 'it is no event');
  followUps[0]?.resolve('subscribed to it');
  followUps[1]?.reject(new Error('SNS was asked 3 times'));
  await waitFor(() => logs.some(({ msg }) => msg === 'subscribed to it'), { what: 'the log line' });
  const failed = await waitFor(() => logs.find(({ msg }) => /confirmation failed/.test(String(msg))), {
    what: 'the other log line',
  });
  t.match(failed, { level: 50, source: 'aws-sns', error: /SNS was asked 3 times/ });
});

t.test('confirmations under way are few, and the shutdown waits for them', async (t) => {
  const followUp = Promise.withResolvers<string>();
  let started = 0;
  const { source, request } = sourceWithFollowUp(() => {
    started++;
    return followUp.promise;
  });
  // Also where an assertion fails: the route would wait for it for ever.
  t.teardown(() => followUp.resolve(''));
  const { close, post, logs } = openRoute(t, source);
  for (let n = 0; n < 12; n++) t.equal((await post(request)).status, 200);
  t.equal(started, 10);
  t.equal(logs.filter(({ msg }) => /too many concurrent confirmations/.test(String(msg))).length, 2);
  const closing = close().then(() => 'closed');
  // Nothing tells that it goes on waiting but that it is not over after a while.
  t.equal(await Promise.race([closing, pause(300)]), undefined);
  followUp.resolve('done');
  t.equal(await closing, 'closed');
});
