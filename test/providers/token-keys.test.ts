// Tokens by key pairs: pinned algorithms, and keys that are looked up by id at Kinde, Plaid and TrueLayer.
import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import t from 'tap';
import {
  type Delivery,
  providers,
  readDrafts,
  type Source,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { HttpStatusError } from '../../src/providers/schemes/fetch-text.ts';
import { fetchBurst } from '../../src/providers/schemes/fetched-keys.ts';
import { encodeJson, signToken } from '../../src/providers/schemes/token.ts';
import { fixedNow, makeSigned, secretOf, withHeaders } from './deliveries.ts';

const { kinde, plaid, truelayer } = providers;
const plaidSecret = 'sandbox:5f3d1c0a9b8e7f6d5c4b3a29:a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4';
const pairs = {
  kinde: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  plaid: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  truelayer: generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
};
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwk = (key: KeyObject, kid = 'postbell-send') => ({ ...key.export({ format: 'jwk' }), kid });
const jwks = (...keys: object[]) => JSON.stringify({ keys });

type Answer = string | Error;

function fetching(provider: Source['provider'], secret: string, ...answers: Answer[]) {
  const asked: [url: string, body: string | undefined][] = [];
  const source: Source = {
    name: provider.name,
    provider,
    secrets: [secret],
    fetchText: (url, jsonBody) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? '';
      asked.push([url, jsonBody]);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  return { source, asked };
}

/** As the provider would send it, by `pairs`. */
function sent(name: keyof typeof pairs, secret: string, topic = 'bell.rung'): Delivery {
  const provider = providers[name];
  const source: Source = { name, provider, secrets: [secret] };
  const url = `https://shop.example.com/hook`;
  const request = signDelivery(source, {
    topic,
    now: fixedNow,
    url,
    privateKey: pem(pairs[name].privateKey),
  });
  const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, [value]]));
  return { method: 'POST', url: '/hook', headers, body: request.body, receivedAt: fixedNow };
}

const later = (delivery: Delivery, ms: number) => ({
  ...delivery,
  receivedAt: new Date(fixedNow.getTime() + ms),
});

t.test('Kinde: keys of the own domain, and of no other', async (t) => {
  const domain = 'https://bell.kinde.com';
  const delivery = sent('kinde', domain);
  const { source, asked } = fetching(kinde, domain, jwks(jwk(pairs.kinde.publicKey)));
  t.match(await verifyDelivery(source, delivery), { ok: true });
  t.match(verifyDelivery(source, delivery), { ok: true }, 'without a promise');
  t.strictSame(asked, [['https://bell.kinde.com/.well-known/jwks.json', undefined]]);
  for (const wrong of [
    'https://bell.kinde.com/',
    'http://bell.kinde.com',
    'https://localhost',
    'https://a.b/c',
    'https://a@b.c',
  ])
    t.type(kinde.secret.check(wrong), 'string', wrong);
});

t.test('Plaid: the key is asked for by id and credentials, once', async (t) => {
  const delivery = sent('plaid', plaidSecret);
  const key = { ...jwk(pairs.plaid.publicKey), alg: 'ES256', use: 'sig', created_at: 1, expired_at: null };
  const { source, asked } = fetching(plaid, plaidSecret, JSON.stringify({ key }));
  t.match(await verifyDelivery(source, delivery), { ok: true });
  t.match(verifyDelivery(source, delivery), { ok: true }, 'without a promise');
  const [, clientId = '', secret = ''] = plaidSecret.split(':');
  t.strictSame(asked, [
    [
      'https://sandbox.plaid.com/webhook_verification_key/get',
      JSON.stringify({ client_id: clientId, secret, key_id: 'postbell-send' }),
    ],
  ]);
});

t.test('Plaid: an expired key, an unknown one and wrong credentials are three things', async (t) => {
  const delivery = sent('plaid', plaidSecret);
  const expired = { ...jwk(pairs.plaid.publicKey), expired_at: fixedNow.getTime() / 1000 - 1 };
  const answerOf = async (answer: Answer) =>
    verifyDelivery(fetching(plaid, plaidSecret, answer).source, delivery);
  t.match(await answerOf(JSON.stringify({ key: expired })), {
    reason: 'wrong_signature',
    detail: /not valid/,
  });
  const error = (code: string) =>
    new HttpStatusError(400, JSON.stringify({ error_code: code, display: 'x' }));
  t.match(await answerOf(error('INVALID_WEBHOOK_VERIFICATION_KEY_ID')), {
    reason: 'wrong_signature',
    detail: /does not know/,
  });
  t.match(await answerOf(error('INVALID_API_KEYS')), {
    reason: 'key_unavailable',
    detail: /Plaid answered INVALID_API_KEYS/,
  });
  for (const answer of [new HttpStatusError(500, 'oops'), '{}', 'null', '{"key":{"kty":"EC"}}', '<html>'])
    t.match(await answerOf(answer), { reason: 'key_unavailable' }, String(answer));
});

t.test('Plaid: two equal bodies at different times are two events, and one time is one', (t) => {
  const key = secretOf(plaid);
  const body = '{"webhook_type":"TRANSACTIONS","webhook_code":"SYNC_UPDATES_AVAILABLE","item_id":"1"}';
  const idAt = (seconds: number) => {
    const { source, delivery } = makeSigned(plaid, {
      key,
      body,
      now: new Date(fixedNow.getTime() + seconds * 1000),
    });
    return readDrafts(source, delivery)[0]?.eventId;
  };
  t.equal(idAt(0), idAt(0));
  t.not(idAt(0), idAt(1));
  t.end();
});

t.test('TrueLayer: only the pinned address is believed and asked', async (t) => {
  const delivery = sent('truelayer', 'published');
  const answer = jwks(jwk(pairs.truelayer.publicKey));
  const { source, asked } = fetching(truelayer, 'published', answer);
  t.match(await verifyDelivery(source, delivery), { ok: true });
  t.strictSame(asked, [['https://webhooks.truelayer.com/.well-known/jwks', undefined]]);
  const sandbox = fetching(truelayer, 'published-sandbox', answer);
  t.match(await verifyDelivery(sandbox.source, delivery), {
    ok: false,
    detail: /jku is not the pinned address/,
  });
  t.match(await verifyDelivery(sandbox.source, sent('truelayer', 'published-sandbox')), { ok: true });
  const [head = '', , signature] = (delivery.headers['tl-signature']?.[0] ?? '').split('.');
  const claims = JSON.parse(Buffer.from(head, 'base64url').toString());
  const fresh = fetching(truelayer, 'published', answer);
  for (const change of [
    { jku: 'https://evil.example.net/jwks' },
    { jku: undefined },
    { alg: 'none' },
    { alg: 'HS512' },
    { tl_version: '1' },
    { tl_headers: '' },
    { tl_headers: 'Content-Type' },
    { kid: undefined },
    { crit: ['b64'] },
  ]) {
    const token = `${encodeJson({ ...claims, ...change })}..${signature}`;
    const altered = withHeaders(delivery, { 'tl-signature': [token] });
    t.match(await verifyDelivery(fresh.source, altered), { ok: false, reason: 'malformed_signature' });
  }
  t.equal(fresh.asked.length, 0, 'nothing was fetched for any of them');
});

t.test(
  'TrueLayer: another path, method, listed header or body is refused, a slash at the end is not',
  async (t) => {
    const { source: signer, delivery } = makeSigned(truelayer);
    const { webhookUrl: _, ...source } = signer;
    const at = (url: string) => verifyDelivery(source, { ...delivery, url });
    t.match(await at('/api/webhooks/it'), { ok: true });
    t.match(await at('/api/webhooks/it/?x=1'), { ok: true });
    t.match(await at('/api/webhooks/other'), { ok: false });
    t.match(await verifyDelivery(source, { ...delivery, method: 'PUT' }), { ok: false });
    t.match(await verifyDelivery(source, withHeaders(delivery, { 'x-tl-webhook-timestamp': undefined })), {
      reason: 'missing_header',
    });
  },
);

t.test('the algorithm is the pinned one, whatever a token says', async (t) => {
  const pinned = secretOf(plaid);
  const { source, delivery } = makeSigned(plaid, { key: pinned });
  const [head = '', payload = ''] = (delivery.headers['plaid-verification']?.[0] ?? '').split('.');
  const claims = JSON.parse(Buffer.from(head, 'base64url').toString());
  const send = (token: string) =>
    verifyDelivery(source, withHeaders(delivery, { 'plaid-verification': [token] }));
  // The classic: the public key, which anybody has, as the secret of an HMAC.
  for (const alg of ['HS256', 'ES256', 'none', 'RS256']) {
    const signed = `${encodeJson({ ...claims, alg })}.${payload}`;
    for (const secret of [pinned.secret, Buffer.from(pinned.secret, 'base64')]) {
      const mac = createHmac('sha256', secret).update(signed).digest('base64url');
      t.match(await send(`${signed}.${mac}`), { ok: false }, alg);
    }
    t.match(await send(`${signed}.`), { ok: false }, `${alg} without a signature`);
  }
});

t.test('a rightly signed token that calls itself something else is refused', async (t) => {
  const pinned = secretOf(plaid);
  const { source, delivery } = makeSigned(plaid, { key: pinned });
  const [, payload] = (delivery.headers['plaid-verification']?.[0] ?? '').split('.');
  const under = (alg: string) => {
    const signed = `${encodeJson({ alg, kid: 'k' })}.${payload}`;
    const token = `${signed}.${signToken('ES256', createPrivateKey(pinned.privateKey ?? ''), signed)}`;
    return verifyDelivery(source, withHeaders(delivery, { 'plaid-verification': [token] }));
  };
  t.match(await under('ES256'), { ok: true });
  for (const alg of ['RS256', 'HS256', 'none', 'es256'])
    t.match(await under(alg), { ok: false, reason: 'malformed_signature' }, alg);
});

t.test('a key of another kind under the right id is not believed, even where it did sign', async (t) => {
  const domain = 'https://bell.kinde.com';
  const signed = `${encodeJson({ alg: 'RS256', kid: 'k' })}.${encodeJson({ event_id: 'e', type: 't' })}`;
  const body = Buffer.from(`${signed}.${signToken('ES256', pairs.plaid.privateKey, signed)}`);
  const other = fetching(kinde, domain, jwks(jwk(pairs.plaid.publicKey, 'k')));
  const delivery = { ...sent('kinde', domain), body };
  t.match(await verifyDelivery(other.source, delivery), { ok: false, reason: 'wrong_signature' });
});

t.test('ids that nobody publishes are not asked for one by one', async (t) => {
  const key = JSON.stringify({ key: jwk(pairs.plaid.publicKey) });
  const unknown = new HttpStatusError(400, '{"error_code":"INVALID_WEBHOOK_VERIFICATION_KEY_ID"}');
  const { source, asked } = fetching(plaid, plaidSecret, key, unknown);
  const delivery = sent('plaid', plaidSecret);
  t.match(await verifyDelivery(source, delivery), { ok: true });
  const [, payload, signature] = (delivery.headers['plaid-verification']?.[0] ?? '').split('.');
  for (let n = 0; n < 200; n++) {
    const token = `${encodeJson({ alg: 'ES256', kid: `forged-${n}` })}.${payload}.${signature}`;
    t.match(await verifyDelivery(source, withHeaders(delivery, { 'plaid-verification': [token] })), {
      ok: false,
    });
  }
  t.ok(asked.length <= fetchBurst);
  t.match(verifyDelivery(source, later(delivery, 1000)), { ok: true }, 'genuine ones go on at once');
});
