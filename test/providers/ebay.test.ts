// eBay: the challenge, and keys that are asked for with an application token.
import { createHash, generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import {
  answerHandshake,
  handshakeMethods,
  providers,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { HttpStatusError } from '../../src/providers/schemes/fetch-text.ts';
import { absentMs, failedMs } from '../../src/providers/schemes/fetched-keys.ts';
import { fixedNow, getRequest, makeSigned, withHeaders } from './deliveries.ts';

const { ebay } = providers;
const secret = 'sandbox:BellLtd-Bells-SBX-0a1b2c3d4:SBX-0a1b2c3d4e5f-6789-4abc';
const webhookUrl = 'https://shop.example.com/api/webhooks/ebay';
const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const key = {
  secret: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
};
const { delivery } = makeSigned(ebay, { key });
const pemInOneLine = `-----BEGIN PUBLIC KEY-----${key.secret}-----END PUBLIC KEY-----`;
const found = JSON.stringify({ key: pemInOneLine, algorithm: 'ECDSA', digest: 'SHA1' });
const later = (ms: number) => ({ ...delivery, receivedAt: new Date(fixedNow.getTime() + ms) });

/** The token at once, each key as the next answer says. */
function asking(...answers: (string | Error)[]) {
  const asked: Parameters<NonNullable<Source['fetchText']>>[] = [];
  const source: Source = {
    name: 'ebay',
    provider: ebay,
    secrets: [secret],
    fetchText: async (...request) => {
      asked.push(request);
      const answer =
        request[1] === undefined ? answers.shift() : '{"access_token":"v^1.1#i^1","expires_in":7200}';
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('asked too often');
      return answer;
    },
  };
  return { source, asked };
}

t.test('the key is asked for by its id with a token for the credentials, once', async (t) => {
  const { source, asked } = asking(found);
  t.match(await verifyDelivery(source, delivery), { ok: true });
  t.match(verifyDelivery(source, delivery), { ok: true }, 'without a promise');
  const [, clientId, clientSecret] = secret.split(':');
  t.strictSame(asked, [
    [
      'https://api.sandbox.ebay.com/identity/v1/oauth2/token',
      'grant_type=client_credentials&scope=https%3A%2F%2Fapi.ebay.com%2Foauth%2Fapi_scope',
      {
        authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    ],
    [
      'https://api.sandbox.ebay.com/commerce/notification/v1/public_key/postbell-send',
      undefined,
      { authorization: 'Bearer v^1.1#i^1' },
    ],
  ]);
});

t.test('an unknown key, a failure and a key of another kind are three things', async (t) => {
  const unknown = asking(new HttpStatusError(404, '{}'), found).source;
  t.match(await verifyDelivery(unknown, delivery), { reason: 'wrong_signature' });
  t.match(await verifyDelivery(unknown, later(absentMs)), { ok: true });
  const failing = asking(new HttpStatusError(500, ''), found).source;
  t.match(await verifyDelivery(failing, delivery), { reason: 'key_unavailable' });
  t.match(await verifyDelivery(failing, later(failedMs)), { ok: true });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  const other = asking(JSON.stringify({ key: rsa.toString('base64') })).source;
  t.match(await verifyDelivery(other, delivery), { reason: 'wrong_signature' });
});

t.test('what is no proof asks for no key', async (t) => {
  const { source, asked } = asking();
  const proof = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
  for (const text of [
    'no base64',
    Buffer.from('no JSON').toString('base64'),
    proof(null),
    proof({ kid: 'a' }),
    proof({ kid: '../../x', signature: 'AAAA' }),
    proof({ kid: 'a', signature: 'no base64' }),
  ]) {
    const altered = withHeaders(delivery, { 'x-ebay-signature': [text] });
    t.match(await verifyDelivery(source, altered), { reason: 'malformed_signature' }, text);
  }
  t.strictSame(asked, []);
});

t.test('the challenge is answered with a hash of it, the verification token and the URL', (t) => {
  const source: Source = {
    ...asking().source,
    verifyToken: 'a-verification-token-of-32-letters',
    webhookUrl: webhookUrl,
  };
  const ask = (url: string, from = source) => answerHandshake(from, getRequest(url), 'unsigned');
  const challengeResponse = createHash('sha256')
    .update('a8628072-3d33-45ee-9004-bee86830a22d')
    .update('a-verification-token-of-32-letters')
    .update(webhookUrl)
    .digest('hex');
  t.strictSame(handshakeMethods(source), ['GET']);
  t.match(ask('/?challenge_code=a8628072-3d33-45ee-9004-bee86830a22d'), {
    status: 200,
    contentType: /^application\/json/,
    body: JSON.stringify({ challengeResponse }),
  });
  t.match(ask('/?challenge_code=a%20b'), { status: 400 });
  const { verifyToken: _, ...untold } = source;
  t.match(ask('/?challenge_code=a', untold), { status: 403 }, 'no token configured');
  const { webhookUrl: __, ...unplaced } = source;
  t.match(ask('/?challenge_code=a', unplaced), { status: 403 }, 'no URL known');
  t.equal(ask('/'), undefined);
  t.end();
});
