// Keys that are fetched: cached, bounded, and never on demand of whoever forges a key id.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { providers, type Source, verifyDelivery } from '../../src/providers/index.ts';
import { keysFreshMs, minRefetchMs, parseJwks } from '../../src/providers/schemes/remote-keys.ts';
import { fixedNow, makeSigned, makeSource, withHeaders } from './deliveries.ts';

const { shipstation } = providers;
const keyId = 'x-shipengine-rsa-sha256-key-id';

/** A source that fetches: from a list of answers, the last one repeated; an Error is thrown. */
function fetchingSource(...answers: (string | Error)[]): { source: Source; fetched: string[] } {
  const fetched: string[] = [];
  const fetchText = (url: string) => {
    const answer = answers[Math.min(fetched.length, answers.length - 1)] ?? '';
    fetched.push(url);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { source: { ...makeSource(shipstation, 'published'), fetchText }, fetched };
}

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const privateKey = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const secret = pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
const jwks = (kid: string) =>
  JSON.stringify({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid }] });
const { delivery: signed } = makeSigned(shipstation, { key: { secret, privateKey } });
const delivery = withHeaders(signed, { [keyId]: ['k1'] });
const later = (ms: number) => ({ ...delivery, receivedAt: new Date(fixedNow.getTime() + ms) });

t.test('the key is fetched once, then at hand', async (t) => {
  const { source, fetched } = fetchingSource(jwks('k1'));
  const first = verifyDelivery(source, delivery);
  t.type(first, Promise);
  t.match(await first, { ok: true, secretIndex: 0 });
  t.match(verifyDelivery(source, delivery), { ok: true }, 'without a promise');
  t.strictSame(fetched, ['https://api.shipengine.com/jwks']);
});

t.test('deliveries that arrive together wait for one fetch', async (t) => {
  const { source, fetched } = fetchingSource(jwks('k1'));
  const verdicts = await Promise.all([1, 2, 3].map(() => verifyDelivery(source, delivery)));
  t.match(verdicts, [{ ok: true }, { ok: true }, { ok: true }]);
  t.equal(fetched.length, 1);
});

t.test('forged key ids do not make us fetch again and again', async (t) => {
  const { source, fetched } = fetchingSource(jwks('k1'));
  await verifyDelivery(source, delivery);
  for (let i = 0; i < 100; i++) {
    const forged = withHeaders(delivery, { [keyId]: [`forged-${i}`] });
    t.match(await verifyDelivery(source, forged), { ok: false, reason: 'key_unavailable' });
  }
  t.equal(fetched.length, 1);
});

t.test('a forged key id does not make a 401 of a genuine delivery with a new key', async (t) => {
  const { source, fetched } = fetchingSource(jwks('k0'), jwks('k0'), jwks('k1'));
  const forged = (ms: number) => withHeaders(later(ms), { [keyId]: [`forged-${ms}`] });
  t.match(await verifyDelivery(source, forged(0)), { reason: 'wrong_signature' }, 'it was asked for');
  const atOnce = [verifyDelivery(source, forged(minRefetchMs)), verifyDelivery(source, later(minRefetchMs))];
  const [asked, joined] = await Promise.all(atOnce);
  t.match(asked, { reason: 'wrong_signature' });
  t.match(joined, { reason: 'key_unavailable' }, 'the fetch under way may be older than the key');
  // The provider publishes k1 now, right after that fetch.
  t.match(await verifyDelivery(source, later(minRefetchMs + 1000)), {
    reason: 'key_unavailable',
    detail: /not published at the last fetch/,
  });
  t.equal(fetched.length, 2, 'nobody was asked meanwhile');
  t.match(await verifyDelivery(source, later(2 * minRefetchMs)), { ok: true });
});

t.test('a key that is at hand waits for nobody, while a fetch for a forged id is under way', async (t) => {
  const never = new Promise<string>(() => {});
  let calls = 0;
  const source: Source = {
    ...makeSource(shipstation, 'published'),
    fetchText: () => (calls++ === 0 ? Promise.resolve(jwks('k1')) : never),
  };
  t.match(await verifyDelivery(source, delivery), { ok: true });
  const now = new Date(fixedNow.getTime() + keysFreshMs);
  const { delivery: signedLater } = makeSigned(shipstation, { key: { secret, privateKey }, now });
  const stale = withHeaders(signedLater, { [keyId]: ['k1'] });
  t.type(verifyDelivery(source, withHeaders(stale, { [keyId]: ['forged'] })), Promise);
  t.equal(calls, 2);
  t.match(verifyDelivery(source, stale), { ok: true }, 'without a promise');
});

t.test('a new key of the provider is found after a while', async (t) => {
  const { source, fetched } = fetchingSource(jwks('k0'), jwks('k1'));
  t.match(await verifyDelivery(source, delivery), { ok: false, reason: 'wrong_signature' });
  t.match(await verifyDelivery(source, later(minRefetchMs - 1)), { reason: 'key_unavailable' });
  t.match(await verifyDelivery(source, later(minRefetchMs)), { ok: true });
  t.equal(fetched.length, 2);
});

t.test('while the keys cannot be fetched, that is the reason, and old keys stay in force', async (t) => {
  const unreachable = new TypeError('fetch failed', { cause: new Error('getaddrinfo ENOTFOUND') });
  const { source } = fetchingSource(unreachable, jwks('k1'), new Error('down'));
  t.match(await verifyDelivery(source, delivery), {
    ok: false,
    reason: 'key_unavailable',
    detail: /ENOTFOUND/,
  });
  t.match(await verifyDelivery(source, later(minRefetchMs)), { ok: true });
  const pinnedTime = withHeaders(delivery, { [keyId]: ['k2'] });
  const muchLater = { ...pinnedTime, receivedAt: new Date(fixedNow.getTime() + 3 * minRefetchMs) };
  t.match(await verifyDelivery(source, muchLater), { ok: false, reason: 'key_unavailable' });
  t.match(await verifyDelivery(source, later(3 * minRefetchMs)), { ok: true });
});

t.test('a fetch that throws at once is tried again later', async (t) => {
  let calls = 0;
  const source: Source = {
    ...makeSource(shipstation, 'published'),
    fetchText: () => {
      calls++;
      if (calls === 1) throw new Error('at once');
      return Promise.resolve(jwks('k1'));
    },
  };
  t.match(await verifyDelivery(source, delivery), { reason: 'key_unavailable' });
  t.match(await verifyDelivery(source, later(minRefetchMs)), { ok: true });
});

t.test('a JWKS gives its public keys and nothing else', (t) => {
  const jwk = pair.publicKey.export({ format: 'jwk' });
  const full = pair.privateKey.export({ format: 'jwk' });
  const keys = [
    { ...jwk, kid: 'a' },
    jwk,
    { ...full, kid: 'private' },
    { kty: 'oct', k: 'AAAA', kid: 'b' },
    null,
    { kid: 'c' },
  ];
  t.strictSame(
    [...parseJwks(JSON.stringify({ keys })).keys()],
    ['a', '#1'],
    'one without a name has its place',
  );
  for (const text of ['', '{}', 'null', '[]', '{"keys":{}}']) t.throws(() => parseJwks(text));
  t.end();
});
