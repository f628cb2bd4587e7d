// What `postbell send` relies on: own bodies as they are, samples for every topic, clear errors.
import t from 'tap';
import {
  type Provider,
  providers,
  readDrafts,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { exampleUrl, fixedNow, makeSigned, makeSource } from './deliveries.ts';

const { github, mailchimp, slack, stripe } = providers;

t.test('an own body is sent byte for byte', (t) => {
  const body = Buffer.from([0xff, 0x00, 0x0a]);
  const { source, request, delivery } = makeSigned(stripe, { body });
  t.ok(request.body.equals(body));
  t.match(verifyDelivery(source, delivery), { ok: true });
  t.end();
});

t.test('the topic and the id asked for are the ones that are read back', (t) => {
  const { source, delivery } = makeSigned(github, { topic: 'issues.opened', id: 'delivery-1' });
  t.match(readDrafts(source, delivery), [{ topic: 'issues.opened', eventId: 'delivery-1' }]);
  const own = makeSigned(stripe, { topic: 'made.up', id: 'evt_mine' });
  t.match(readDrafts(own.source, own.delivery), [{ topic: 'made.up', eventId: 'evt_mine' }]);
  t.end();
});

t.test('a secret of the URL is added to the URL, and forms are sent as forms', (t) => {
  const source = makeSource(mailchimp, 'a-secret-of-sixteen');
  const request = signDelivery(source, {
    topic: 'subscribe',
    now: fixedNow,
    url: 'http://localhost:3000/hook',
  });
  t.equal(request.url, 'http://localhost:3000/hook?secret=a-secret-of-sixteen');
  t.equal(request.headers['content-type'], 'application/x-www-form-urlencoded');
  const withQuery = signDelivery(source, {
    topic: 'subscribe',
    now: fixedNow,
    url: 'http://localhost:3000/hook?a=1',
  });
  t.equal(withQuery.url, 'http://localhost:3000/hook?a=1&secret=a-secret-of-sixteen');
  const command = signDelivery(makeSource(slack, 's'), {
    topic: '/x',
    body: 'command=%2Fx',
    now: fixedNow,
    url: exampleUrl,
  });
  t.equal(command.headers['content-type'], 'application/x-www-form-urlencoded');
  t.end();
});

t.test('a topic without a sample names those that have one', (t) => {
  const { '*': _any, ...named } = stripe.samples;
  const strict: Provider = { ...stripe, samples: named };
  const sign = () =>
    signDelivery(makeSource(strict, 'whsec_1'), { topic: 'nope', now: fixedNow, url: exampleUrl });
  t.throws(sign, { message: /no sample for stripe nope.*invoice\.paid/ });
  t.end();
});
