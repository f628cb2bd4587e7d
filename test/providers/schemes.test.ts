// The schemes beside HMAC: what only they can get wrong.
import { createHash, createHmac, generateKeyPairSync, sign } from 'node:crypto';
import t from 'tap';
import {
  type Delivery,
  providers,
  type Source,
  type Verdict,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { parsePublicKey } from '../../src/providers/schemes/public-key.ts';
import { exampleUrl, fixedNow, makeSigned, makeSource, secretOf, withHeaders } from './deliveries.ts';

const { braintree, cloudinary, discord, gitlab, livekit, postmark, sendgrid, square, twilio, vonage } =
  providers;
const reasonOf = (source: Source, delivery: Delivery) => {
  const verdict = verifyDelivery(source, delivery) as Verdict;
  return verdict.ok ? 'ok' : verdict.reason;
};
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A LiveKit delivery with a token of our own making, rightly signed. */
function liveKitToken(head: object, claims: object, secret = 'livekit-secret-0123456789'): string {
  const signed = `${base64url(head)}.${base64url(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

t.test('a JWT is believed for its algorithm, issuer, times and body only', (t) => {
  const source = makeSource(livekit, 'APIabc:livekit-secret-0123456789');
  const body = Buffer.from('{"event":"x","id":"1"}');
  const seconds = fixedNow.getTime() / 1000;
  const sha256 = createHash('sha256').update(body).digest('base64');
  const good = { iss: 'APIabc', exp: seconds + 300, nbf: seconds, sha256 };
  const hs256 = { alg: 'HS256', typ: 'JWT' };
  const reason = (token: string) =>
    reasonOf(source, {
      method: 'POST',
      url: '/',
      headers: { authorization: [token] },
      body,
      receivedAt: fixedNow,
    });
  t.equal(reason(liveKitToken(hs256, good)), 'ok');
  t.equal(reason(liveKitToken({ typ: 'JWT', alg: 'HS256', kid: 'x' }, good)), 'ok');
  const rejections: [string, string][] = [
    [liveKitToken({ alg: 'none' }, good), 'malformed_signature'],
    [`${base64url({ alg: 'none' })}.${base64url(good)}.`, 'malformed_signature'],
    [liveKitToken({ alg: 'HS512' }, good), 'malformed_signature'],
    [liveKitToken({ alg: 'hs256' }, good), 'malformed_signature'],
    [liveKitToken({ ...hs256, crit: ['x'] }, good), 'malformed_signature'],
    [`${liveKitToken(hs256, good)}.x`, 'malformed_signature'],
    [`Bearer ${liveKitToken(hs256, good)}`, 'malformed_signature'],
    [liveKitToken(hs256, good, 'another-secret-0123456789'), 'wrong_signature'],
    [liveKitToken(hs256, { ...good, iss: 'APIother' }), 'wrong_signature'],
    [liveKitToken(hs256, { ...good, iss: undefined }), 'wrong_signature'],
    [
      liveKitToken(hs256, { ...good, sha256: createHash('sha256').update('x').digest('base64') }),
      'wrong_signature',
    ],
    [liveKitToken(hs256, { ...good, sha256: undefined }), 'wrong_signature'],
    [liveKitToken(hs256, { ...good, sha256: [sha256] }), 'wrong_signature'],
    [liveKitToken(hs256, { ...good, exp: seconds - 11 }), 'too_old'],
    [liveKitToken(hs256, { ...good, nbf: seconds + 11 }), 'too_new'],
    [liveKitToken(hs256, { ...good, iat: seconds + 11 }), 'too_new'],
    [liveKitToken(hs256, { ...good, exp: undefined }), 'malformed_timestamp'],
    [liveKitToken(hs256, { ...good, exp: String(seconds + 300) }), 'malformed_timestamp'],
    [liveKitToken(hs256, { ...good, exp: seconds * 1000 }), 'malformed_timestamp'],
  ];
  for (const [index, [token, wanted]] of rejections.entries())
    t.equal(reason(token), wanted, `rejection ${index}`);
  t.end();
});

t.test('a token without exp is bounded by its iat', (t) => {
  const { source, delivery } = makeSigned(vonage);
  t.equal(reasonOf(source, delivery), 'ok');
  const [, claims = ''] = (delivery.headers.authorization?.[0] ?? '').split('.');
  t.notMatch(JSON.parse(Buffer.from(claims, 'base64url').toString()), { exp: Number });
  const late = { ...delivery, receivedAt: new Date(fixedNow.getTime() + 25 * 3600 * 1000) };
  t.equal(reasonOf(source, late), 'too_old');
  t.end();
});

t.test('public keys are taken in every usual spelling, and nothing else is', (t) => {
  const { publicKey: ed } = generateKeyPairSync('ed25519');
  const { publicKey: ec } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { publicKey: p384 } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const { publicKey: weak } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const pem = (key: typeof ed) => key.export({ type: 'spki', format: 'pem' }).toString();
  const der = (key: typeof ed) => key.export({ type: 'spki', format: 'der' });
  const hex = der(ed).subarray(-32).toString('hex');
  const raw = { format: 'raw-hex' } as const;
  const spki = { format: 'spki' } as const;
  for (const text of [hex, hex.toUpperCase(), pem(ed), pem(ed).replaceAll('\n', '\\n')])
    t.ok(parsePublicKey(text, 'ed25519', raw), text);
  for (const text of [der(ec).toString('base64'), pem(ec)]) t.ok(parsePublicKey(text, 'ecdsa-p256', spki));
  for (const text of ['', 'x', hex.slice(2), `${hex}00`, pem(ec), hex.replace(/^../, 'zz')])
    t.notOk(parsePublicKey(text, 'ed25519', raw), text);
  t.notOk(parsePublicKey(pem(p384), 'ecdsa-p256', spki), 'another curve');
  t.notOk(parsePublicKey(pem(ed), 'ecdsa-p256', spki), 'another kind');
  t.notOk(parsePublicKey(pem(weak), 'rsa-sha256', spki), '1024 bits are too weak');
  t.type(discord.secret.check(pem(ec)), 'string');
  t.type(sendgrid.secret.check('MFkwEwYHKoZIzj0C'), 'string');
  t.end();
});

t.test('what only the provider can sign asks for a test key', (t) => {
  const key = { secret: secretOf(discord).secret };
  t.throws(() => makeSigned(discord, { key }), { message: /postbell keys/ });
  t.end();
});

t.test('Twilio: a JSON body is tied to the URL by its hash, wherever the URL was configured', (t) => {
  const secret = 'twilio-auth-token-0123456789abcdef';
  const body = Buffer.from('{"type":"com.twilio.x"}');
  const sign = (text: string) => createHmac('sha1', secret).update(text).digest('base64');
  const query = `?shop=1&bodySHA256=${createHash('sha256').update(body).digest('hex')}`;
  const signature = sign(`https://shop.example.com/api/webhooks/it${query}`);
  const source = makeSource(twilio, secret);
  const delivery: Delivery = {
    method: 'POST',
    url: `/api/webhooks/it${query}`,
    headers: { 'content-type': ['application/json'], 'x-twilio-signature': [signature] },
    body,
    receivedAt: fixedNow,
  };
  t.equal(reasonOf(source, delivery), 'ok');
  t.equal(reasonOf(source, { ...delivery, body: Buffer.from('{"type":"com.twilio.y"}') }), 'wrong_signature');
  t.equal(reasonOf(source, { ...delivery, url: '/api/webhooks/it?shop=1' }), 'missing_header');
  t.equal(reasonOf(source, { ...delivery, url: `${delivery.url}&more=1` }), 'wrong_signature');
  const bare = withHeaders(delivery, {
    'x-twilio-signature': [sign('https://shop.example.com/api/webhooks/it?shop=1')],
  });
  t.equal(
    reasonOf(source, { ...bare, url: '/api/webhooks/it?shop=1' }),
    'missing_header',
    'a JSON body must be covered',
  );
  t.end();
});

t.test('Twilio: repeated fields count once each, in order', (t) => {
  const secret = 'twilio-auth-token-0123456789abcdef';
  const signature = createHmac('sha1', secret).update(`${exampleUrl}Ba1b2Cx`).digest('base64');
  const delivery = (form: string): Delivery => ({
    method: 'POST',
    url: '/',
    headers: { 'content-type': ['application/x-www-form-urlencoded'], 'x-twilio-signature': [signature] },
    body: Buffer.from(form),
    receivedAt: fixedNow,
  });
  const source = makeSource(twilio, secret);
  t.equal(
    reasonOf(source, delivery('C=x&Ba=1&Ba=1&b=2')),
    'wrong_signature',
    'B sorts before b and before C',
  );
  const right = createHmac('sha1', secret).update(`${exampleUrl}B1B2Cxb3`).digest('base64');
  const sorted = withHeaders(delivery('b=3&C=x&B=2&B=1&B=2'), { 'x-twilio-signature': [right] });
  t.equal(reasonOf(source, sorted), 'ok');
  t.end();
});

t.test('a scheme that signs the URL refuses while no URL is configured, or another one', (t) => {
  const { source, delivery } = makeSigned(square);
  const { webhookUrl: _url, ...without } = source;
  t.equal(reasonOf(without, delivery), 'missing_url');
  t.equal(reasonOf({ ...source, webhookUrl: `${exampleUrl}/` }, delivery), 'wrong_signature');
  t.end();
});

t.test('GitLab: a signing token is not got round by the secret token', (t) => {
  const { source, delivery, key } = makeSigned(gitlab);
  const headers = { 'x-gitlab-token': [key.secret], 'content-type': ['application/json'] };
  t.equal(reasonOf(source, { ...delivery, headers }), 'missing_header');
  const plain = makeSource(gitlab, 'a-plain-secret-token');
  const withToken = { ...delivery, headers: { 'x-gitlab-token': ['a-plain-secret-token'] } };
  t.equal(reasonOf(plain, withToken), 'ok');
  t.equal(
    reasonOf(plain, withHeaders(withToken, { 'x-gitlab-token': ['a-plain-secret-tokem'] })),
    'wrong_signature',
  );
  const both = makeSource(gitlab, key.secret, 'a-plain-secret-token');
  t.match(verifyDelivery(both, delivery), { ok: true, secretIndex: 0 });
  t.match(
    verifyDelivery(both, withToken),
    { ok: true, secretIndex: 1 },
    'while changing over, both are accepted',
  );
  t.end();
});

t.test('Cloudinary: either hash, whichever the account is set to', (t) => {
  const { source, delivery } = makeSigned(cloudinary);
  const text = `${delivery.body}${delivery.headers['x-cld-timestamp']}${source.secrets[0]}`;
  for (const hash of ['sha1', 'sha256']) {
    const signature = createHash(hash).update(text).digest('hex');
    t.equal(reasonOf(source, withHeaders(delivery, { 'x-cld-signature': [signature] })), 'ok', hash);
  }
  const md5 = createHash('md5').update(text).digest('hex');
  t.equal(reasonOf(source, withHeaders(delivery, { 'x-cld-signature': [md5] })), 'wrong_signature');
  t.end();
});

t.test('Braintree: what its handshake signs for anyone is no payload', (t) => {
  const source = makeSource(braintree, 'integration_public_key:integration_private_key');
  const challenge = '0123456789abcdef0123';
  const key = createHash('sha1').update('integration_private_key').digest();
  const mac = createHmac('sha1', key).update(challenge).digest('hex');
  const form = new URLSearchParams({ bt_payload: challenge, bt_signature: `integration_public_key|${mac}` });
  const headers = { 'content-type': ['application/x-www-form-urlencoded'] };
  const delivery = {
    method: 'POST',
    url: '/',
    headers,
    body: Buffer.from(form.toString()),
    receivedAt: fixedNow,
  };
  t.equal(reasonOf(source, delivery), 'wrong_signature');
  t.end();
});

t.test('Braintree: a payload that lost its last newline on the way still holds, two payloads do not', (t) => {
  const { source, delivery } = makeSigned(braintree);
  const trimmed = Buffer.from(delivery.body.toString().replace('%0A', ''));
  t.equal(reasonOf(source, { ...delivery, body: trimmed }), 'ok');
  const doubled = Buffer.from(`${delivery.body}&bt_payload=x`);
  t.equal(reasonOf(source, { ...delivery, body: doubled }), 'missing_header');
  t.end();
});

t.test('Postmark: basic auth is the user and the password, spelled one way', (t) => {
  const source = makeSource(postmark, 'user:0123456789abcde');
  const { delivery } = makeSigned(postmark);
  const encoded = Buffer.from('user:0123456789abcde').toString('base64');
  const reason = (value: string) => reasonOf(source, withHeaders(delivery, { authorization: [value] }));
  t.equal(reason(`Basic ${encoded}`), 'ok');
  for (const value of [
    `basic ${encoded}`,
    encoded,
    `Basic ${encoded.replace('=', '')}`,
    'Basic ',
    'Basic Og==',
  ])
    t.not(reason(value), 'ok', value);
  for (const secret of ['no-colon-0123456789', ':password-0123456789', 'user-0123456789abcd:'])
    t.match(postmark.secret.check(secret), /a colon and the password/);
  t.end();
});

t.test('Standard Webhooks v1a: an Ed25519 key verifies v1a signatures only, and v1 secrets only v1', (t) => {
  const standard = providers['standard-webhooks'];
  const pair = generateKeyPairSync('ed25519');
  const raw = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const whpk = `whpk_${raw.toString('base64')}`;
  t.equal(standard.secret.check(whpk), undefined);
  t.match(standard.secret.check('whpk_AAAA'), /is no ed25519 public key/);
  const { delivery: v1, key } = makeSigned(standard);
  const [id, stamp] = ['webhook-id', 'webhook-timestamp'].map((name) => v1.headers[name]?.[0]);
  const signature = sign(null, Buffer.from(`${id}.${stamp}.${v1.body}`), pair.privateKey).toString('base64');
  const v1a = (...items: string[]) => withHeaders(v1, { 'webhook-signature': [items.join(' ')] });
  const source = makeSource(standard, whpk);
  t.equal(reasonOf(source, v1a(`v1a,${signature}`)), 'ok');
  t.equal(reasonOf(source, v1a(`v1,${signature}`)), 'malformed_signature');
  t.equal(reasonOf(source, v1), 'malformed_signature');
  t.equal(reasonOf(source, { ...v1a(`v1a,${signature}`), body: Buffer.from('{}') }), 'wrong_signature');
  const both = v1a(v1.headers['webhook-signature']?.[0] ?? '', `v1a,${signature}`);
  t.equal(reasonOf(source, both), 'ok');
  t.equal(reasonOf(makeSource(standard, key.secret), both), 'ok', 'a sender may sign both ways');
  t.equal(reasonOf(makeSource(standard, key.secret), v1a(`v1a,${signature}`)), 'malformed_signature');
  t.match(verifyDelivery(makeSource(standard, whpk, key.secret), v1), { ok: true, secretIndex: 1 });
  const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const signed = makeSigned(standard, { key: { secret: whpk, privateKey } });
  t.equal(reasonOf(signed.source, signed.delivery), 'ok');
  t.end();
});
