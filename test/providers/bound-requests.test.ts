// What binds a proof to one request where the body alone does not: Atlassian's query hash, QStash's and MessageBird's
// tokens, PayPal's webhook ID.
import { createHash, createSecretKey } from 'node:crypto';
import t from 'tap';
import {
  type Delivery,
  providers,
  readDrafts,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { asDelivery } from '../../src/providers/schemes/delivery.ts';
import { encodeJson, signToken } from '../../src/providers/schemes/token.ts';
import {
  exampleUrl,
  fixedNow,
  makeSigned,
  makeSource,
  readFixture,
  secretOf,
  withHeaders,
} from './deliveries.ts';

const { 'atlassian-connect': atlassian, messagebird, paypal, qstash } = providers;

t.test(
  'Atlassian: method, path and query are signed, their order and a slash at the end are not',
  async (t) => {
    const { fixture, delivery } = readFixture('atlassian-connect');
    const source = { ...makeSource(atlassian, fixture.secret), webhookUrl: fixture.webhookUrl ?? '' };
    const at = (query: string, more: Partial<Delivery> = {}) =>
      verifyDelivery(source, { ...delivery, url: `/x?${query}`, ...more });
    const query = delivery.url.split('?')[1] ?? '';
    t.match(
      await at(query),
      { ok: true },
      'the path is that of the configuration, whatever a proxy made of it',
    );
    t.match(await at(query.split('&').reverse().join('&')), { ok: true });
    t.match(await at(`${query}&jwt=x`), { ok: true });
    t.match(await verifyDelivery({ ...source, webhookUrl: `${fixture.webhookUrl}/` }, delivery), {
      ok: true,
    });
    for (const changed of [`${query}&c=1`, query.replace('a=2', 'a=3'), query.replace('&a=2', ''), ''])
      t.match(await at(changed), { ok: false, reason: 'wrong_signature' }, changed);
    t.match(await at(query, { method: 'PUT' }), { ok: false });
    const elsewhere = { ...source, webhookUrl: 'https://shop.example.com/other' };
    t.match(await verifyDelivery(elsewhere, delivery), { ok: false, detail: /qsh/ });
    const { webhookUrl: _, ...unconfigured } = source;
    t.match(await verifyDelivery(unconfigured, delivery), { ok: true }, 'without one, the path as it came');
  },
);

t.test(
  'QStash: equal bodies of a schedule are events of their own, one token under two ids is a replay',
  (t) => {
    const key = secretOf(qstash);
    const sent = (id: string, seconds: number) =>
      makeSigned(qstash, { key, id, body: '{}', now: new Date(fixedNow.getTime() + seconds * 1000) });
    const guardOf = ({ source, delivery }: ReturnType<typeof sent>) => readDrafts(source, delivery)[0];
    const first = sent('msg_1', 0);
    const next = guardOf(sent('msg_2', 3600));
    t.match(guardOf(first), { eventId: 'msg_1', uniqueBody: true });
    t.notSame(next?.bodySha256, guardOf(first)?.bodySha256);
    const replayed = { ...first, delivery: withHeaders(first.delivery, { 'upstash-message-id': ['msg_3'] }) };
    t.equal(guardOf(replayed)?.eventId, 'msg_3');
    t.same(guardOf(replayed)?.bodySha256, guardOf(first)?.bodySha256);
    t.end();
  },
);

t.test('QStash: a body hash is taken with padding and without, the issuer has to be Upstash', async (t) => {
  const { source, delivery } = makeSigned(qstash);
  const [, payload = ''] = (delivery.headers['upstash-signature']?.[0] ?? '').split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  t.equal(claims.iss, 'Upstash');
  t.equal(claims.body, createHash('sha256').update(delivery.body).digest('base64url'));
  const { body: _, ...bodiless } = claims;
  const signed = `${encodeJson({ alg: 'HS256' })}.${encodeJson(bodiless)}`;
  const key = createSecretKey(Buffer.from(source.secrets[0] ?? ''));
  const unbound = withHeaders(delivery, {
    'upstash-signature': [`${signed}.${signToken('HS256', key, signed)}`],
  });
  t.match(await verifyDelivery(source, { ...unbound, body: Buffer.alloc(0) }), {
    ok: false,
    mismatch: 'body',
  });
  const foreign = { ...qstash, scheme: providers.messagebird.scheme };
  const other = signDelivery(
    { ...source, provider: foreign },
    { topic: 'x', now: fixedNow, url: exampleUrl },
  );
  const token = other.headers['messagebird-signature-jwt'] ?? '';
  const verdict = await verifyDelivery(source, {
    ...asDelivery(other, fixedNow),
    headers: { 'upstash-signature': [token] },
  });
  t.match(verdict, { ok: false, detail: /iss names another issuer/ });
});

t.test('MessageBird: only an empty body may go without its hash', async (t) => {
  const key = secretOf(messagebird);
  const { source, delivery } = makeSigned(messagebird, { key });
  t.match(await verifyDelivery(source, { ...delivery, body: Buffer.alloc(0) }), {
    ok: false,
    mismatch: 'body',
  });
  const iat = Math.floor(fixedNow.getTime() / 1000);
  const url_hash = createHash('sha256').update(exampleUrl).digest('hex');
  const claims = { iss: 'MessageBird', iat, nbf: iat, exp: iat + 60, jti: '1', url_hash };
  const signed = `${encodeJson({ alg: 'HS256' })}.${encodeJson(claims)}`;
  const token = `${signed}.${signToken('HS256', createSecretKey(Buffer.from(key.secret)), signed)}`;
  const without = withHeaders(delivery, { 'messagebird-signature-jwt': [token] });
  t.match(await verifyDelivery(source, { ...without, body: Buffer.alloc(0) }), { ok: true });
  t.match(await verifyDelivery(source, without), { ok: false, mismatch: 'body' });
  t.match(await verifyDelivery({ ...source, webhookUrl: 'https://shop.example.com/other' }, delivery), {
    ok: false,
    mismatch: 'url',
  });
});

t.test('PayPal: a delivery for another webhook, or by another algorithm, is refused', async (t) => {
  const key = secretOf(paypal);
  const { source, delivery } = makeSigned(paypal, { key });
  const [, publicKey] = key.secret.split(';');
  t.match(await verifyDelivery(source, delivery), { ok: true });
  const other = makeSource(paypal, `8PT597110X687430LKGECATA;${publicKey}`);
  t.match(await verifyDelivery(other, delivery), { ok: false, reason: 'wrong_signature' });
  const by = (algorithm: string[] | undefined) =>
    verifyDelivery(source, withHeaders(delivery, { 'paypal-auth-algo': algorithm }));
  t.match(await by(['SHA1withRSA']), { ok: false, reason: 'malformed_signature' });
  t.match(await by(undefined), { ok: false, reason: 'missing_header' });
  for (const name of ['paypal-transmission-id', 'paypal-transmission-time'])
    t.match(
      await verifyDelivery(source, withHeaders(delivery, { [name]: ['2026-11-23T09:59:59Z'] })),
      { ok: false },
      name,
    );
});
