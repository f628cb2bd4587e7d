// What only one provider does, in its signature or its body, and what that must not let through.
import { createHmac } from 'node:crypto';
import t from 'tap';
import {
  type Delivery,
  type Provider,
  providers,
  readDrafts,
  type Verdict,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, makeSigned, makeSource, withHeaders } from './deliveries.ts';

const { auth0, hygraph, mailgun, payos, plivo, twitch, zendesk } = providers;
const xTwitter = providers['x-twitter'];
const secret = 'a-secret-of-sixteen';

const reasonOf = (verdict: Verdict | Promise<Verdict>) => {
  const { ok, reason } = verdict as { ok: boolean; reason?: string };
  return ok ? 'ok' : reason;
};

function delivery(body: string | Buffer, headers: Record<string, string> = {}): Delivery {
  const all = { 'content-type': 'application/json', ...headers };
  return {
    method: 'POST',
    url: '/',
    headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, [value]])),
    body: Buffer.from(body),
    receivedAt: fixedNow,
  };
}

const facts = (provider: Provider, body: string, headers: Record<string, string> = {}) =>
  readDrafts(makeSource(provider, secret), delivery(body, headers)).map(({ eventId, topic, payloadError }) =>
    `${eventId} ${topic} ${payloadError ?? ''}`.trim(),
  );

t.test('payOS: values are signed, so a nested one, which would not be covered, is refused', (t) => {
  const source = makeSource(payos, secret);
  const signed = (data: object, text: string) => {
    const signature = createHmac('sha256', secret).update(text).digest('hex');
    return verifyDelivery(source, delivery(JSON.stringify({ data, signature })));
  };
  t.equal(reasonOf(signed({ b: 1, a: 'x', c: null, d: true }, 'a=x&b=1&c=&d=true')), 'ok');
  t.equal(reasonOf(signed({ a: 'x', b: { c: 1 } }, 'a=x&b=[object Object]')), 'malformed_signature');
  t.equal(reasonOf(signed({ a: [1] }, 'a=[1]')), 'malformed_signature');
  t.equal(reasonOf(signed([], '')), 'missing_header');
  t.equal(reasonOf(signed({ a: 'y' }, 'a=x')), 'wrong_signature');
  t.equal(reasonOf(verifyDelivery(source, delivery('{"data":{}}'))), 'missing_header');
  t.end();
});

t.test('Plivo: the query is sorted, and a signature over the URL alone carries no body', (t) => {
  const nonce = '05429567804466091622';
  const verify = (webhookUrl: string, text: string, body: string, contentType?: string) => {
    const signature = createHmac('sha256', secret).update(`${text}.${nonce}`).digest('base64');
    const headers = {
      'content-type': contentType ?? 'application/x-www-form-urlencoded',
      'x-plivo-signature-v3': `AAAA,${signature}`,
      'x-plivo-signature-v3-nonce': nonce,
    };
    return reasonOf(verifyDelivery({ ...makeSource(plivo, secret), webhookUrl }, delivery(body, headers)));
  };
  const base = 'https://shop.example.com/plivo';
  t.equal(verify(base, `${base}?a1b2`, 'b=2&a=1'), 'ok');
  t.equal(verify(`${base}?y=2&x=1`, `${base}?x=1&y=2.a1`, 'a=1'), 'ok');
  t.equal(verify(`${base}?y=2&x=1`, `${base}?x=1&y=2`, ''), 'ok', 'no fields');
  t.equal(verify(base, `${base}?a1a2`, 'a=2&a=1'), 'ok', 'a repeated field');
  t.equal(verify(base, base, 'a=1'), 'wrong_signature', 'fields that are not signed');
  t.equal(verify(base, base, '{"a":1}', 'application/json'), 'missing_header', 'JSON that is not signed');
  const { source, delivery: call } = makeSigned(plivo);
  const sent = call.headers['x-plivo-signature-v3'];
  const message = withHeaders(call, { 'x-plivo-signature-v3': undefined, 'x-plivo-signature-ma-v3': sent });
  t.equal(reasonOf(verifyDelivery(source, message)), 'ok', 'under the header of messages');
  t.end();
});

t.test('Hygraph: bytes that are no text are refused, since all of them read alike', (t) => {
  const body = Buffer.from('{"operation":"publish","data":{"title":"\ufffd"}}');
  const { source, delivery: good } = makeSigned(hygraph, { body });
  t.equal(reasonOf(verifyDelivery(source, good)), 'ok');
  const at = body.indexOf(0xef);
  const broken = Buffer.concat([body.subarray(0, at), Buffer.from([0xff]), body.subarray(at + 3)]);
  t.equal(broken.toString('utf8'), body.toString('utf8'), 'the same text');
  t.equal(reasonOf(verifyDelivery(source, { ...good, body: broken })), 'wrong_signature');
  const renamed = (good.headers['gcms-signature']?.[0] ?? '').replace('env=master', 'env=staging');
  t.equal(
    reasonOf(verifyDelivery(source, withHeaders(good, { 'gcms-signature': [renamed] }))),
    'wrong_signature',
  );
  t.end();
});

t.test('Mailgun: the token of a signature is good for one event', (t) => {
  const { source, delivery: good } = makeSigned(mailgun);
  const forged = good.body
    .toString()
    .replace('delivered', 'unsubscribed')
    .replace(/"id":"[^"]*"/, '"id":"x"');
  const other = { ...good, body: Buffer.from(forged) };
  t.equal(reasonOf(verifyDelivery(source, other)), 'ok', 'the event is not signed');
  const [first, second] = [good, other].map((one) => readDrafts(source, one)[0]);
  t.match(second, { eventId: 'x', topic: 'unsubscribed', uniqueBody: true });
  t.same(second?.bodySha256, first?.bodySha256, 'but the second one counts as a replay of the first');
  const [next] = readDrafts(source, makeSigned(mailgun).delivery);
  t.notSame(next?.bodySha256, first?.bodySha256);
  const old = { ...good, receivedAt: new Date(fixedNow.getTime() + 9 * 3600_000 + 1000) };
  t.equal(
    reasonOf(verifyDelivery(source, old)),
    'too_old',
    'and no signature is good for longer than its retries last',
  );
  t.end();
});

t.test('Zendesk: only an event has an id of its own; a trigger goes by its invocation', (t) => {
  const headers = { 'x-zendesk-webhook-invocation-id': '8350205582' };
  const event =
    '{"id":"cbe4028c","type":"zen:event-type:ticket.created","zendesk_event_version":"2022-11-06"}';
  t.same(facts(zendesk, event, headers), ['cbe4028c zen:event-type:ticket.created']);
  t.same(facts(zendesk, '{"id":"123","status":"open"}', headers), ['8350205582 trigger']);
  t.same(facts(zendesk, '{"id":"123","type":"ticket"}', headers), ['8350205582 ticket']);
  const [first, second] = ['2026-11-23T10:00:00Z', '2026-11-23T10:00:01Z'].map((time) => {
    const all = { ...headers, 'x-zendesk-webhook-signature-timestamp': time };
    return readDrafts(makeSource(zendesk, secret), delivery('{"ticket":1}', all))[0];
  });
  t.notSame(first?.bodySha256, second?.bodySha256, 'equal bodies of two updates are two events');
  t.end();
});

t.test('Auth0: one object, an array, or one object on each line', (t) => {
  const entry = (id: number) => `{"log_id":"90020${id}","data":{"type":"s"}}`;
  const both = ['900201 s', '900202 s'];
  t.same(facts(auth0, `[${entry(1)},${entry(2)}]`), both);
  t.same(facts(auth0, `${entry(1)}\n${entry(2)}\n`), both);
  t.same(facts(auth0, `${entry(1)}\r\n${entry(2)}`), both);
  t.same(facts(auth0, entry(1)), ['900201 s']);
  t.same(facts(auth0, JSON.stringify(JSON.parse(entry(1)), null, 2)), ['900201 s'], 'written over lines');
  t.match(facts(auth0, `${entry(1)}\n{"log_id":}`), [/unknown malformed$/]);
  t.match(facts(auth0, ''), [/unknown empty$/]);
  t.end();
});

t.test('X: one item for each object, under the account that it was sent to', (t) => {
  const account = (id: string) =>
    `{"for_user_id":"${id}","tweet_create_events":[{"id_str":"7"},{"id_str":"8"}]}`;
  t.same(facts(xTwitter, account('42')), [
    'tweet_create_events:42:7 tweet_create_events',
    'tweet_create_events:42:8 tweet_create_events',
  ]);
  t.match(facts(xTwitter, account('43'))[0], /^tweet_create_events:43:7/);
  t.match(facts(xTwitter, '{"for_user_id":"42","follow_events":[{"source":{}}]}'), [
    /^sha256:\w{64} follow_events$/,
  ]);
  t.match(facts(xTwitter, '{"user_event":{"revoke":{}}}'), [/ user_event$/]);
  t.match(facts(xTwitter, '{"data":{"event_type":"post.create","payload":{"id":"1"}}}'), [/ post\.create$/]);
  t.match(facts(xTwitter, '[]'), [/ unknown$/]);
  t.end();
});

t.test('Twitch: an altered message id is refused, since it is the id', (t) => {
  const { source, delivery: good } = makeSigned(twitch);
  const altered = withHeaders(good, { 'twitch-eventsub-message-id': ['another'] });
  t.equal(reasonOf(verifyDelivery(source, good)), 'ok');
  t.equal(reasonOf(verifyDelivery(source, altered)), 'wrong_signature');
  t.end();
});
