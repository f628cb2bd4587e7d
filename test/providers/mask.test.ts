// What operators see of a request lets nobody send another one.
import t from 'tap';
import {
  isSignatureHeader,
  maskRequest,
  type Provider,
  providers,
  secretsOf,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { asDelivery } from '../../src/providers/schemes/delivery.ts';
import { makeSource } from './deliveries.ts';

const now = new Date();
const all = Object.values<Provider>(providers).filter(({ configure }) => !configure);

t.test('no provider’s masked request holds a secret, and a credential alone verifies nothing', async (t) => {
  let credentials = 0;
  for (const provider of all) {
    const { secret, privateKey } = provider.secret.generate();
    const source = makeSource(provider, secret);
    const [topic = 'x'] = Object.keys(provider.samples).filter((name) => name !== '*');
    const url = source.webhookUrl ?? `https://shop.example.com/webhooks/${provider.name}`;
    const signed = signDelivery(source, { topic, url, now, ...(privateKey ? { privateKey } : {}) });
    signed.headers['x-note'] = `the secret is ${secret}`;
    const delivery = asDelivery(signed, now);
    const masked = maskRequest(delivery, source, secretsOf([source]));
    const text = `${JSON.stringify([masked.url, masked.headers])} ${masked.body?.toString()}`;
    t.notOk(text.includes(secret), provider.name);
    if (!provider.scheme.isCredential) continue;
    credentials++;
    const { url: maskedUrl, headers, body } = masked;
    const again = { ...delivery, url: maskedUrl, headers, body: body ?? Buffer.alloc(0) };
    t.match(await verifyDelivery(source, delivery), { ok: true }, provider.name);
    t.match(await verifyDelivery(source, again), { ok: false }, provider.name);
  }
  t.ok(credentials > 10);
});

t.test('every header that proves something is a signature, hidden from readers, or masked for all', (t) => {
  for (const { name, scheme } of all)
    for (const header of scheme.proofHeaders) {
      const delivery = { method: 'POST', url: '/', headers: { [header]: ['v'] }, body: Buffer.alloc(0) };
      const { headers } = maskRequest({ ...delivery, receivedAt: now }, undefined, []);
      t.ok(isSignatureHeader(header) || headers[header]?.[0] === '[hidden]', `${name}: ${header}`);
    }
  t.end();
});

t.test('URLs, cookies, tokens, and a secret wherever it stands', (t) => {
  const secret = 'whsec_MfKQ9r8GKYqr/TwjUPD8ILPZIo2LaLaSw==';
  const { stripe } = providers;
  const source = makeSource(stripe, secret);
  const body = Buffer.from(
    JSON.stringify({ a: secret, b: 'MfKQ9r8GKYqr/TwjUPD8ILPZIo2LaLaSw==' }).replaceAll('/', String.raw`\/`),
  );
  const masked = maskRequest(
    {
      method: 'POST',
      url: `/api/webhooks/stripe?topic=a&token=b&signature=c&note=${encodeURIComponent(secret)}&setup=d`,
      headers: {
        authorization: ['Bearer abc'],
        cookie: ['a=b'],
        'x-api-key': ['k1'],
        'x-forwarded-for': ['203.0.113.7'],
        'x-note': [`see ${secret}`],
      },
      body,
      receivedAt: now,
    },
    source,
    secretsOf([source]),
  );
  t.equal(
    masked.url,
    '/api/webhooks/stripe?topic=a&token=[hidden]&signature=[hidden]&note=[hidden]&setup=[hidden]',
  );
  t.strictSame(masked.headers, {
    authorization: ['Bearer [hidden]'],
    cookie: ['[hidden]'],
    'x-api-key': ['[hidden]'],
    'x-forwarded-for': ['203.0.113.7'],
    'x-note': ['see [hidden]'],
  });
  t.notMatch(masked.body!.toString(), /MfKQ/);
  t.equal(masked.body!.length, body.length, 'each byte keeps its place');
  t.match(body.toString(), /MfKQ/, 'the delivery itself stays as it is');
  t.end();
});

t.test('credentials of the body are removed; where that cannot be done, the body is not shown', (t) => {
  const { slack, notion } = providers;
  const source = makeSource(slack, slack.secret.generate().secret);
  const of = (text: string) =>
    maskRequest(
      { method: 'POST', url: '/', headers: {}, body: Buffer.from(text), receivedAt: now },
      source,
      [],
    ).body?.toString();
  t.equal(of('{"token":"verification","a":1}'), '{"a":1}');
  t.equal(of('{"token":"verification","a":'), undefined);
  const handedOver = maskRequest(
    {
      ...{ method: 'POST', url: '/', headers: { 'content-type': ['application/json'] }, receivedAt: now },
      body: Buffer.from('{"verification_token":"secret_0123456789abcdef"}'),
    },
    { name: 'notion', provider: notion, secrets: [] },
    [],
  );
  t.notMatch(handedOver.body!.toString(), /0123456789/, 'a secret that the provider hands over');
  t.end();
});

t.test('a handed-over text that is no Unicode: the request is masked all the same', (t) => {
  const source = { name: 'notion', provider: providers.notion as Provider, secrets: [] };
  const body = Buffer.from(String.raw`{"verification_token":"\ud800-and-more-letters"}`);
  const delivery = { method: 'POST', url: '/', headers: {}, body, receivedAt: now };
  t.same(maskRequest(delivery, source, []).url, '/');
  t.end();
});
